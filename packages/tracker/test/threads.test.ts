import { attach, memoryStore, ThreadedCounterBackend } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { openUsage } from "@usage/tracker";
import { describe, expect, it } from "vitest";

describe("a tracker of a counter for threads", () => {
  it("limits, learns and stores what all threads count, over a change of the month", async () => {
    const clock = new ManualClock("2026-01-31T23:59:00Z");
    const counter = new ThreadedCounterBackend(["oci", "b2"], { clock });
    const store = memoryStore();
    await store.merge([{ writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 100 } }]);
    const usage = await openUsage({ counter, store, clock, limits: { oci: { apiRequests: 112 } } });
    const [first, second] = [attach(counter.handle, { clock }), attach(counter.handle, { clock })];
    first.add("oci", "apiRequests", 5);
    second.addAll("oci", { apiRequests: 6, egressBytes: 7 });
    expect(usage.tryRecord("oci", { apiRequests: 1 })).toBe(true);
    expect(usage.tryRecord("oci", { apiRequests: 1 })).toBe(false);
    expect(usage.check("oci", {})).toMatchObject({ usage: { apiRequests: 112, egressBytes: 7 } });
    expect(usage.nearLimit(1)).toBe(true);
    clock.advance(60_000);
    expect(usage.tryRecord("oci", { apiRequests: 1 })).toBe(true);
    second.add("b2", "apiRequests", 3);
    await usage.close();
    const history = await store.history({});
    expect(history.map(({ period, backend, usage }) => [period, backend, usage.apiRequests])).toEqual([
      ["2026-01", "oci", 112],
      ["2026-02", "b2", 3],
      ["2026-02", "oci", 1],
    ]);
  });

  it("tells what threads hold, refuses and waits for it as for its own, and says what was settled above that", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const counter = new ThreadedCounterBackend(["oci"], { clock });
    const usage = await openUsage({ counter, store: memoryStore(), clock, limits: { oci: { apiRequests: 10 } } });
    const hold = attach(counter.handle, { clock }).hold("oci", { apiRequests: 8 });
    expect(usage.check("oci", { apiRequests: 3 })).toMatchObject({
      allowed: false,
      mode: "exact",
      reason: "held",
      held: { apiRequests: 8 },
      remaining: { apiRequests: 2 },
      maxOvershoot: { apiRequests: 0 },
    });
    const waiting = usage.reserve("oci", { apiRequests: 3 }, { waitMs: 5_000 });
    hold?.settle({ apiRequests: 4 });
    clock.advance(1_000);
    expect((await waiting)?.usage.apiRequests).toBe(3);
    attach(counter.handle, { clock }).hold("oci", { apiRequests: 3 })?.settle({ apiRequests: 5 });
    expect(usage.check("oci", {}).maxOvershoot).toEqual({ apiRequests: 2 });
    await usage.close();
  });

  it("holds no other names, and lets go of none", async () => {
    const counter = new ThreadedCounterBackend(["oci"]);
    const usage = await openUsage({ counter, store: memoryStore() });
    await expect(usage.ensure("acme")).rejects.toThrow(/cannot be held/);
    expect(usage.release("oci")).toBe(false);
    expect(usage.ensure("oci")).toBeUndefined();
    await usage.close();
  });
});
