import { describe, expect, it } from "vitest";
import { flushing } from "./support/flushing.ts";

describe("the schedule of a UsageFlusher", () => {
  it("flushes once an interval", async () => {
    const { flusher, tracker, pass, stored } = flushing();
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await pass(29_500);
    expect(await stored()).toBe(0);
    await pass(500);
    expect(await stored()).toBe(1);
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    expect(await stored()).toBe(2);
    expect(flusher.status()).toMatchObject({ failures: 0, lastFlushMs: Date.parse("2026-01-15T00:01:00Z") });
  });

  it("flushes at the shorter interval as soon as a backend comes near a limit", async () => {
    const { flusher, tracker, pass, stored } = flushing();
    flusher.start();
    await pass(6_000);
    tracker.record("oci", { apiRequests: 80 });
    await pass(4_000);
    expect(await stored()).toBe(80);
    tracker.record("oci", { apiRequests: 1 });
    await pass(5_000);
    expect(await stored()).toBe(81);
  });

  it("takes over other times while it runs, and flushes at once, however often they change", async () => {
    const { flusher, tracker, pass, stored } = flushing();
    flusher.start();
    for (let i = 1; i <= 3; i++) {
      tracker.record("oci", { apiRequests: 1 });
      flusher.reschedule({ intervalMs: 10_000 });
      await pass(500);
      expect(await stored()).toBe(i);
    }
    tracker.record("oci", { apiRequests: 1 });
    await pass(9_000);
    expect(await stored()).toBe(3);
    await pass(1_000);
    expect(await stored()).toBe(4);
  });

  it("keeps its times when it is given others that cannot be, and starts nothing by being given some", async () => {
    const { flusher, tracker, pass, stored } = flushing({ intervalMs: 10_000 });
    expect(() => flusher.reschedule({ intervalMs: 0 })).toThrow("intervalMs must be from 1 to 2^31-1 ms, got 0");
    expect(() => flusher.reschedule({ nearLimitRatio: Number.NaN })).toThrow(RangeError);
    flusher.reschedule({ intervalMs: 20_000 });
    tracker.record("oci", { apiRequests: 1 });
    await pass(60_000);
    expect(await stored()).toBe(0);
    flusher.start();
    await pass(19_500);
    expect(await stored()).toBe(0);
    await pass(500);
    expect(await stored()).toBe(1);
  });

  it("shortens its waits by up to a tenth, and never lengthens them", async () => {
    const { flusher, tracker, pass, stored } = flushing({ random: () => 0.999 });
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await pass(26_500);
    expect(await stored()).toBe(0);
    await pass(1_000);
    expect(await stored()).toBe(1);
  });

  it("has one schedule, however often it is started, and goes on after it was stopped", async () => {
    const { flusher, tracker, clock, state, pass } = flushing();
    flusher.start();
    flusher.start();
    expect(clock.pending).toBe(2); // the counter's own, and one
    await flusher.stop();
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    expect(state.merges).toBe(1);
  });

  it("has one schedule also when it is stopped and started during a flush", async () => {
    const { flusher, tracker, clock, state, pass } = flushing({ timeoutMs: 2_000 });
    flusher.start();
    state.hangs = true;
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_500);
    const stopped = flusher.stop().catch((error: unknown) => error);
    flusher.start();
    await pass(2_000);
    state.hangs = false;
    await pass(2_000);
    await stopped;
    expect(clock.pending).toBe(2);
    await flusher.stop();
    const { merges } = state;
    tracker.record("oci", { apiRequests: 1 });
    await pass(120_000);
    expect(state.merges).toBe(merges);
    expect(clock.pending).toBe(1);
  });

  it("flushes and learns what others used soon after the clock was set to another period", async () => {
    const { flusher, tracker, clock, memory, pass } = flushing();
    await memory.merge([{ writer: "w", period: "2026-02", backend: "oci", usage: { apiRequests: 100 } }]);
    flusher.start();
    await pass(6_000);
    clock.set("2026-02-20T00:00:00Z");
    await pass(5_000);
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(false);
  });

  it("learns what others used of a period to which the clock was set during a flush", async () => {
    const { flusher, tracker, clock, memory, state, pass } = flushing({ timeoutMs: 2 ** 31 - 1 });
    await memory.merge([{ writer: "w", period: "2026-02", backend: "oci", usage: { apiRequests: 100 } }]);
    flusher.start();
    state.hangs = true;
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    clock.set("2026-02-01T00:00:00Z");
    await pass(1_000); // the counter notices
    state.finish();
    await pass(5_500);
    expect(flusher.status().failures).toBe(0);
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(false);
  });

  it("spreads the flushes near a limit, too", async () => {
    const { flusher, tracker, pass, stored } = flushing({ random: () => 0.999 });
    flusher.start();
    tracker.record("oci", { apiRequests: 90 });
    await pass(4_600);
    expect(await stored()).toBe(90);
  });

  it("ends its schedule without a flush when its signal aborts", async () => {
    const controller = new AbortController();
    const { flusher, tracker, pass, state } = flushing({ signal: controller.signal });
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    controller.abort();
    await pass(60_000);
    flusher.start();
    await pass(60_000);
    expect(state.merges).toBe(0);
  });

  it("does not flush for longer than it may when the clock is set back", async () => {
    const { flusher, tracker, clock, pass, stored } = flushing();
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await pass(10_000);
    clock.set("2026-01-14T12:00:00Z");
    await pass(20_000);
    expect(await stored()).toBe(1);
  });

  it.each([
    { intervalMs: 0 },
    { intervalMs: 2 ** 31 },
    { nearLimitIntervalMs: Number.NaN },
    { timeoutMs: -1 },
    { nearLimitRatio: 0 },
  ])("refuses %j", (wrong) => {
    expect(() => flushing(wrong)).toThrow(RangeError);
  });
});
