import { UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { tracked } from "./support/tracked.ts";

describe("release", () => {
  it("lets go of what is stored, which comes back with everything, with its limits", async () => {
    const { tracker, counter, stored } = tracked({ backends: [], limits: () => ({ apiRequests: 10 }) });
    await tracker.ensure("acme");
    tracker.setLimits("acme", { apiRequests: 5 });
    tracker.record("acme", { apiRequests: 4, egressBytes: 9 });
    expect(tracker.release("acme")).toBe(false);
    await tracker.flush();
    expect(tracker.release("acme")).toBe(true);
    expect(tracker.release("acme")).toBe(true);
    expect(counter.has("acme")).toBe(false);
    await tracker.ensure("acme");
    expect(counter.totalAll("acme")).toEqual({ apiRequests: 4, egressBytes: 9, ingressBytes: 0 });
    expect(tracker.tryRecord("acme", { apiRequests: 2 })).toBe(false);
    expect(tracker.tryRecord("acme", { apiRequests: 1 })).toBe(true);
    await tracker.flush();
    expect(await stored("acme")).toBe(5);
  });

  it("happens by itself to what is idle and stored, and never to what somebody ensures", async () => {
    const { tracker, counter, clock, stored } = tracked({ backends: ["oci"], idleMs: 60_000 });
    await tracker.ensure(["idle", "busy"]);
    tracker.record("idle", { apiRequests: 3 });
    for (let second = 0; second < 120; second++) {
      clock.advance(1_000);
      expect(tracker.ensure("busy")).toBeUndefined();
    }
    expect(counter.backends()).toEqual(["oci", "idle", "busy"]); // not stored yet
    await tracker.flush();
    for (let second = 0; second < 120; second++) {
      clock.advance(1_000);
      expect(tracker.ensure("busy")).toBeUndefined();
    }
    expect(counter.backends()).toEqual(["oci", "busy"]);
    await tracker.ensure("idle");
    tracker.record("idle", { apiRequests: 1 });
    await tracker.flush();
    expect(await stored("idle")).toBe(4);
  });

  it("happens to what is idle though the limits of all are replaced again and again", async () => {
    const { tracker, counter, clock } = tracked({ backends: ["oci"], idleMs: 60_000 });
    await tracker.ensure("idle");
    for (let second = 0; second < 120; second++) {
      clock.advance(1_000);
      tracker.updateLimits({ idle: { apiRequests: second } });
    }
    expect(counter.backends()).toEqual(["oci"]);
  });

  it("comes back with what others counted meanwhile", async () => {
    const { tracker, store, clock } = tracked({ backends: [] });
    const other = new UsageTracker(tracked({ backends: [] }).counter, { store, clock });
    await tracker.ensure("acme");
    tracker.record("acme", { apiRequests: 1 });
    await tracker.flush();
    tracker.release("acme");
    await other.ensure("acme");
    other.record("acme", { apiRequests: 10 });
    await other.flush();
    await tracker.ensure("acme");
    expect(tracker.counter.totalAll("acme").apiRequests).toBe(11);
  });
});
