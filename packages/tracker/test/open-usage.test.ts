import { LocalCounterBackend, memoryStore, type UsageStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { FlushError, FlushTimeoutError, OpenUsage, openUsage, UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { turn } from "./support/turn.ts";
import { watchedStore } from "./support/watched-store.ts";

function parts(store: UsageStore = memoryStore()) {
  const clock = new ManualClock("2026-01-15T00:00:00Z");
  const counter = new LocalCounterBackend(["oci"], { clock });
  const stored = async (): Promise<number> => (await store.history({}))[0]?.usage.apiRequests ?? 0;
  return { clock, counter, store, stored };
}

describe("openUsage", () => {
  it("knows what was used before when it resolves, so limits are never open", async () => {
    const { store, put } = watchedStore();
    await put("oci", 10);
    const { counter, clock } = parts(store);
    const usage = await openUsage({ counter, store, clock, limits: { oci: { apiRequests: 10 } } });
    expect(usage).toBeInstanceOf(OpenUsage);
    expect(usage).toBeInstanceOf(UsageTracker);
    expect(usage.ensure("oci")).toBeUndefined();
    expect(usage.tryRecord("oci", { apiRequests: 1 })).toBe(false);
    await usage.close();
  });

  it("stores what is counted by itself, at the times that it is given", async () => {
    const { counter, store, clock, stored } = parts();
    const usage = await openUsage({ counter, store, clock, intervalMs: 10_000, random: () => 0 });
    usage.record("oci", { apiRequests: 2 });
    clock.advance(9_999);
    await turn(4);
    expect(await stored()).toBe(0);
    clock.advance(1);
    await turn(4);
    expect(await stored()).toBe(2);
    expect(usage.flusher.status()).toMatchObject({ failures: 0 });
    await usage.close();
  });

  it("skips what it is told to", async () => {
    const { counter, store, clock, stored } = parts();
    const usage = await openUsage({ counter, store, clock, skip: () => new Set(["oci"]) });
    usage.record("oci", { apiRequests: 2 });
    await usage.close();
    expect(await stored()).toBe(0);
  });

  it.each(["reject", "admit"] as const)(
    "rejects while the store is away, and nothing runs then (%s)",
    async (whenUnknown) => {
      const { store, state } = watchedStore();
      const { counter, clock } = parts(store);
      state.down = true;
      await expect(openUsage({ counter, store, clock, whenUnknown })).rejects.toThrow("down");
      expect(clock.pending).toBe(1); // the counter's own
      state.down = false;
      await (await openUsage({ counter, store, clock, whenUnknown })).close();
    },
  );

  it("rejects in time while the store hangs", async () => {
    const { store, state } = watchedStore();
    const { counter, clock } = parts(store);
    state.hangs = true;
    const opened = openUsage({ counter, store, clock, readTimeoutMs: 3_000 }).catch((error: unknown) => error);
    await turn();
    clock.advance(3_000);
    expect(await opened).toBeInstanceOf(FlushTimeoutError);
    expect(clock.pending).toBe(1);
  });

  it("rejects for options that are wrong, before anything is read", async () => {
    const { store, totals } = watchedStore();
    const { counter, clock } = parts(store);
    await expect(openUsage({ counter, store, clock, intervalMs: 0 })).rejects.toThrow(/intervalMs/);
    await expect(openUsage({ counter, store, clock, limits: { oci: { apiRequests: -1 } } })).rejects.toThrow(
      /cannot be a limit/,
    );
    expect(totals).not.toHaveBeenCalled();
  });
});

describe("close", () => {
  it("stores what is left, and nothing after it, and leaves counter and store open", async () => {
    const { counter, store, clock, stored } = parts();
    const usage = await openUsage({ counter, store, clock });
    usage.record("oci", { apiRequests: 1 });
    await usage.close();
    expect(await stored()).toBe(1);
    usage.record("oci", { apiRequests: 1 });
    clock.advance(600_000);
    await turn(4);
    expect(await stored()).toBe(1);
    expect(counter.load("oci", "apiRequests")).toBe(1);
    expect(clock.pending).toBe(1);
  });

  it("may be called twice, also at once, and stores each time what is left", async () => {
    const { counter, store, clock, stored } = parts();
    const usage = await openUsage({ counter, store, clock });
    usage.record("oci", { apiRequests: 1 });
    await Promise.all([usage.close(), usage.close()]);
    usage.record("oci", { apiRequests: 1 });
    await usage.close();
    expect(await stored()).toBe(2);
  });

  it("rejects with what is not stored, which it may be called again for", async () => {
    const { store, state } = watchedStore();
    const merge: UsageStore["merge"] = (...args) =>
      state.down ? Promise.reject(new Error("down")) : store.merge(...args);
    const { counter, clock, stored } = parts(store);
    const usage = await openUsage({ counter, store: { ...store, merge }, clock });
    usage.record("oci", { apiRequests: 7 });
    state.down = true;
    const failed = await usage.close().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(FlushError);
    expect(failed).toMatchObject({ unstored: [{ backend: "oci", usage: { apiRequests: 7 } }] });
    state.down = false;
    await usage.close();
    expect(await stored()).toBe(7);
  });

  it("ends while the store hangs, as late as a flush may", async () => {
    const { store } = watchedStore();
    const { counter, clock } = parts(store);
    const usage = await openUsage({ counter, store: { ...store, merge: () => new Promise(() => {}) }, clock });
    usage.record("oci", { apiRequests: 7 });
    const closed = usage.close().catch((error: unknown) => error);
    await turn();
    clock.advance(30_000);
    expect(await closed).toMatchObject({ code: "USAGE_FLUSH", cause: { code: "USAGE_FLUSH_TIMEOUT" } });
  });

  it("happens by itself at the end of a block", async () => {
    const { counter, store, clock, stored } = parts();
    {
      await using usage = await openUsage({ counter, store, clock });
      usage.record("oci", { apiRequests: 3 });
    }
    expect(await stored()).toBe(3);
    expect(clock.pending).toBe(1);
  });
});
