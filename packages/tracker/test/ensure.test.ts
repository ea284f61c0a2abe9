import { UnknownUsageError, type UsageStore } from "@usage/counter-core";
import { describe, expect, it, vi } from "vitest";
import { tracked } from "./support/tracked.ts";
import { turn } from "./support/turn.ts";
import { watchedStore } from "./support/watched-store.ts";

describe("ensure", () => {
  it("returns exactly undefined where all are held and loaded, and a promise where they are not", async () => {
    const { tracker } = tracked({ backends: [] });
    const asked = tracker.ensure("acme");
    expect(asked).toBeInstanceOf(Promise);
    expect(await asked).toBeUndefined();
    expect(tracker.ensure("acme")).toBeUndefined();
    expect(tracker.ensure(["acme"])).toBeUndefined();
    expect(tracker.ensure([])).toBeUndefined();
    expect(tracker.ensure(["acme", "umbrella"])).toBeInstanceOf(Promise);
    await turn(2);
    expect(tracker.ensure(new Set(["umbrella", "acme", "umbrella"]))).toBeUndefined();
  });

  it("reads once for a thousand who ask for one tenant at once, and for whoever asks while it is read", async () => {
    const { store, reads } = watchedStore();
    const { tracker } = tracked({ store, backends: [] });
    const asked = Array.from({ length: 1_000 }, () => tracker.ensure("acme"));
    await turn();
    expect(reads).toHaveLength(1);
    asked.push(tracker.ensure("acme"));
    await Promise.all(asked);
    expect(reads).toEqual([{ period: "2026-01", backends: ["acme"] }]);
  });

  it("reads at once what is asked at once, once each", async () => {
    const { store, reads, put } = watchedStore();
    await put("tenant-7", 7);
    const { tracker } = tracked({ store, backends: [] });
    const names = Array.from({ length: 1_000 }, (_, i) => `tenant-${i}`);
    await Promise.all([tracker.ensure(names), ...names.map((name) => tracker.ensure(name))]);
    expect(reads).toEqual([{ period: "2026-01", backends: names }]);
    expect(tracker.counter.totalAll("tenant-7").apiRequests).toBe(7);
    expect(tracker.ensure(names)).toBeUndefined();
  });

  it("lets the event loop go on between ten thousand that come one after the other", async () => {
    const { store, reads } = watchedStore();
    const limits = vi.fn(() => ({ apiRequests: 100 }));
    const { tracker } = tracked({ store, backends: [], limits });
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    for (let i = 0; i < 10_000; i++) {
      await tracker.ensure(`tenant-${i}`);
      expect(tracker.tryRecord(`tenant-${i}`, { apiRequests: 1 })).toBe(true);
    }
    isDone = true;
    expect(turns).toBeGreaterThanOrEqual(10_000);
    expect(reads).toHaveLength(10_000);
    expect(limits).toHaveBeenCalledTimes(10_000);
    expect((await tracker.flush()).stored).toBe(10_000);
  });

  it("knows that a limit is used up at the first request after a restart", async () => {
    const first = tracked({ backends: [], limits: () => ({ apiRequests: 3 }) });
    await first.tracker.ensure("acme");
    for (let i = 0; i < 3; i++) expect(first.tracker.tryRecord("acme", { apiRequests: 1 })).toBe(true);
    await first.tracker.flush();
    const again = tracked({ backends: [], limits: () => ({ apiRequests: 3 }), store: first.store });
    await again.tracker.ensure("acme");
    expect(again.tracker.tryRecord("acme", { apiRequests: 1 })).toBe(false);
    expect(again.tracker.check("acme", { apiRequests: 1 })).toMatchObject({
      allowed: false,
      remaining: { apiRequests: 0 },
    });
  });

  it("asks again for the month in which it ends", async () => {
    const { store, reads, put } = watchedStore();
    await put("acme", 5, "2026-01");
    await put("acme", 6, "2026-02");
    const tallies: UsageStore["tallies"] = async (...args) => {
      const rows = await store.tallies(...args);
      clock.set("2026-02-01T00:00:00Z");
      return rows;
    };
    const { tracker, clock } = tracked({ store: { ...store, tallies }, backends: [] });
    clock.set("2026-01-31T23:59:59.999Z");
    await tracker.ensure("acme");
    expect(reads.map(({ period }) => period)).toEqual(["2026-01", "2026-02"]);
    expect(tracker.counter.totalAll("acme").apiRequests).toBe(6);
  });
});

describe("ensure of names that were given at the start", () => {
  it("waits until what was used of them is known, for all of them at once", async () => {
    const { store, totals, put } = watchedStore();
    await put("oci", 10);
    const { tracker } = tracked({ store, limits: { oci: { apiRequests: 10 } } });
    const asked = [tracker.ensure("oci"), tracker.ensure(["b2", "oci"]), tracker.ensure("acme")];
    for (const one of asked) expect(one).toBeInstanceOf(Promise);
    await turn();
    asked.push(tracker.ensure("oci"), tracker.ensure("umbrella")); // while it is read
    await Promise.all(asked);
    expect(totals).toHaveBeenCalledTimes(1);
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(false);
    expect(tracker.ensure(["oci", "b2", "acme", "umbrella"])).toBeUndefined();
  });

  it("has nothing to wait for after a refresh, or after a flush that learned", async () => {
    for (const load of ["refresh", "flush"] as const) {
      const { tracker } = tracked();
      await tracker[load]();
      expect(tracker.ensure(["oci", "b2"])).toBeUndefined();
    }
    const { tracker } = tracked();
    await tracker.flush({ learn: false });
    expect(tracker.ensure("oci")).toBeInstanceOf(Promise);
  });

  it("reads again where the month changes meanwhile", async () => {
    const { store, put } = watchedStore();
    await put("oci", 5, "2026-01");
    await put("oci", 6, "2026-02");
    const totals: UsageStore["totals"] = async (...args) => {
      const stored = await store.totals(...args);
      clock.set("2026-02-01T00:00:00Z");
      return stored;
    };
    const { tracker, clock } = tracked({ store: { ...store, totals } });
    clock.set("2026-01-31T23:59:59.999Z");
    await tracker.ensure("oci");
    expect(tracker.counter.period().key).toBe("2026-02");
    expect(tracker.counter.totalAll("oci").apiRequests).toBe(6);
  });

  it("rejects while the store is away, and asks again later", async () => {
    const { store, state } = watchedStore();
    const { tracker } = tracked({ store });
    state.down = true;
    await expect(tracker.ensure("oci")).rejects.toThrow(UnknownUsageError);
    await expect(tracker.ensure(["oci", "acme"])).rejects.toThrow(/"oci" and 1 more cannot be read.*down/);
    state.down = false;
    await tracker.ensure("oci");
    expect(tracker.ensure("oci")).toBeUndefined();
  });

  it("admits them, if told to, while the store is away, and does not ask again at each request", async () => {
    const { store, state, totals, put } = watchedStore();
    await put("oci", 10);
    state.down = true;
    const { tracker } = tracked({ store, whenUnknown: "admit", limits: { oci: { apiRequests: 10 } } });
    await tracker.ensure(["oci", "acme"]);
    expect(tracker.ensure(["oci", "acme"])).toBeUndefined();
    expect(totals).toHaveBeenCalledTimes(1);
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(true);
    state.down = false;
    await tracker.flush();
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(false);
  });
});
