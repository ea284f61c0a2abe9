import {
  LocalCounterBackend,
  memoryStore,
  type PeriodScheme,
  utcDays,
  utcMinutes,
  utcMonths,
  utcMonthsFrom,
} from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { openUsage, type ThresholdEvent, ThresholdNotifier, UsageTracker } from "@usage/tracker";
import { describe, expect, it, vi } from "vitest";
import { namesOf, settled } from "./notifying.ts";

function parts() {
  const clock = new ManualClock("2026-01-15T00:00:00Z");
  const told: ThresholdEvent[] = [];
  const onThreshold = (event: ThresholdEvent): void => void told.push(event);
  const store = memoryStore({ clock });
  return { clock, told, onThreshold, store, counter: new LocalCounterBackend(["oci"], { clock }) };
}

describe("openUsage with thresholds", () => {
  it("tells of them until it is closed", async () => {
    const { told, ...options } = parts();
    const usage = await openUsage({ ...options, limits: { oci: { apiRequests: 100 } }, thresholds: [0.5, 1] });
    usage.record("oci", { apiRequests: 50 });
    await usage.flush();
    await settled();
    expect(namesOf(told)).toEqual(["oci 0.5 of 100"]);
    usage.record("oci", { apiRequests: 50 });
    await usage.close();
    options.clock.advance(60_000);
    await settled();
    expect(namesOf(told)).toEqual(["oci 0.5 of 100"]);
    // The counter's own.
    expect(options.clock.pending).toBe(1);
    // The last flush has reached it: who comes next tells of it.
    const next = await openUsage({
      ...options,
      counter: new LocalCounterBackend([], { clock: options.clock }),
      thresholds: [0.5, 1],
    });
    await settled();
    expect(namesOf(told)).toEqual(["oci 0.5 of 100", "oci 1 of 100"]);
    await next.close();
  });

  it("reports what fails, and warns where nobody listens", async () => {
    const { counter, store, clock } = parts();
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const onThreshold = () => Promise.reject(new Error("away"));
    const limits = { oci: { apiRequests: 100 } };
    const usage = await openUsage({ counter, store, clock, limits, thresholds: [0.5], onThreshold });
    usage.record("oci", { apiRequests: 50 });
    await usage.flush();
    await settled();
    expect(warned).toHaveBeenCalledExactlyOnceWith(
      expect.stringContaining("to tell of a threshold failed, and is tried again: away"),
      {
        code: "USAGE_THRESHOLD",
      },
    );
    clock.advance(40_000);
    await settled();
    expect(warned).toHaveBeenCalledOnce();
    const failures: unknown[] = [];
    usage.onThresholdError(({ error, attempt }) => void failures.push([error, attempt]));
    clock.advance(80_000);
    await settled();
    expect(failures).toEqual([[new Error("away"), 3]]);
    expect(warned).toHaveBeenCalledOnce();
    warned.mockRestore();
    await usage.close();
  });
});

describe("openUsage with thresholds and windows", () => {
  it("tells of each window that is stored, by its name", async () => {
    const { told, clock, store, onThreshold } = parts();
    const usage = await openUsage({
      windows: { month: utcMonths, day: utcDays, minute: utcMinutes },
      counter: (periods: PeriodScheme) => new LocalCounterBackend([], { periods, clock }),
      limits: () => ({ month: { apiRequests: 1_000 }, day: { apiRequests: 100 }, minute: { apiRequests: 10 } }),
      thresholds: (backend, window) => (backend === "acme" && window === "day" ? [0.5] : [0.05]),
      store,
      clock,
      onThreshold,
    });
    await usage.ensure("acme");
    usage.record("acme", { apiRequests: 50 });
    await usage.flush();
    await settled();
    const names = told.map(({ window, period, threshold, limit }) => `${window} ${period} ${threshold} of ${limit}`);
    expect(names.sort()).toEqual(["day day:2026-01-15 0.5 of 100", "month 2026-01 0.05 of 1000"]);
    usage.setLimits("acme", { day: { apiRequests: 60 } });
    await settled();
    expect(told.at(-1)).toMatchObject({ window: "day", limit: 60 });
    usage.record("acme", { apiRequests: 50 });
    await usage.close();
    // Those of the counters: one has no window.
    expect(clock.pending).toBe(4);
  });

  it("tells of windows that begin on other days", async () => {
    const { told, clock, store, onThreshold } = parts();
    const months = { acme: utcMonthsFrom(10), b2: utcMonthsFrom(20) };
    const usage = await openUsage({
      windows: { plan: (backend: string) => months[backend as keyof typeof months] },
      counter: (periods: PeriodScheme) => new LocalCounterBackend([], { periods, clock }),
      limits: () => ({ plan: { apiRequests: 100 } }),
      thresholds: [0.5],
      store,
      clock,
      onThreshold,
    });
    await usage.ensure(["acme", "b2"]);
    for (const backend of ["acme", "b2"]) usage.record(backend, { apiRequests: 50 });
    await usage.flush();
    await settled();
    expect(told.map(({ backend, period }) => `${backend} ${period}`).sort()).toEqual([
      "acme 2026-01-10",
      "b2 2025-12-20",
    ]);
    await usage.close();
  });
});

describe("thresholds that are wrong", () => {
  const wrong: readonly (readonly [unknown, string])[] = [
    ...[null, 0.5, "0.5", { 0: 0.5 }, new Set([0.5])].map((value) => [value, "thresholds must be a list"] as const),
    ...[0, -0.5, 80, 10.1, Number.NaN, Number.POSITIVE_INFINITY, "0.5", undefined, null, [0.5]].map(
      (value) => [[0.5, value], "thresholds must be parts of a limit"] as const,
    ),
    [[], "thresholds must name at least one"],
    [[0.5, 0.8, 0.5], "thresholds must differ"],
    [Array.from({ length: 101 }, (_, index) => (index + 1) / 101), "thresholds must be 100 at most"],
  ];

  it.each(wrong)("%j are refused, and nothing is begun", async (thresholds, message) => {
    const { counter, store, onThreshold } = parts();
    const bind = vi.fn();
    const options = {
      counter: Object.assign(counter, { bind }),
      store,
      onThreshold,
      thresholds: thresholds as number[],
    };
    await expect(openUsage(options)).rejects.toThrow(message);
    expect(bind).not.toHaveBeenCalled();
    const tracker = new UsageTracker(counter, { store });
    expect(() => new ThresholdNotifier({ tracker, onThreshold, thresholds: thresholds as number[] })).toThrow(message);
  });

  it("are one of the two without the other", async () => {
    const { counter, store, onThreshold } = parts();
    const periods = () => counter;
    const windows = { month: utcMonths };
    for (const open of [
      (options: object) => openUsage({ counter, store, ...options }),
      (options: object) => openUsage({ counter: periods, windows, store, ...options }),
    ]) {
      await expect(open({ thresholds: [0.5] })).rejects.toThrow("thresholds are given without onThreshold");
      await expect(open({ onThreshold })).rejects.toThrow("onThreshold is given without thresholds");
      await expect(open({ onThreshold: "log", thresholds: [0.5] })).rejects.toThrow("onThreshold must be a function");
    }
  });

  it("are for a store that has no outbox, or for windows of which none is stored", async () => {
    const { counter, store, onThreshold, clock } = parts();
    for (const missing of ["claim", "notices", "acknowledge"]) {
      const without = { ...store, [missing]: undefined } as unknown as typeof store;
      await expect(openUsage({ counter, store: without, onThreshold, thresholds: [0.5] })).rejects.toThrow(
        "thresholds need a store with claim, notices and acknowledge",
      );
    }
    const minutes = openUsage({
      windows: { minute: utcMinutes },
      counter: (periods: PeriodScheme) => new LocalCounterBackend([], { periods, clock }),
      thresholds: [0.5],
      clock,
      store,
      onThreshold,
    });
    await expect(minutes).rejects.toThrow("thresholds need a window of a day or longer");
    expect(clock.pending).toBe(2);
  });

  it.each([
    [{ channel: "" }, "channel must be"],
    [{ channel: "x".repeat(201) }, "channel must be"],
    [{ channel: "a\nb" }, "channel must be"],
    [{ channel: 5 as unknown as string }, "channel must be"],
    [{ timeoutMs: 0 }, "timeoutMs must be"],
    [{ timeoutMs: 30_000 }, "retryMs.first must be more than timeoutMs"],
    [{ retryMs: { first: 0, max: 1 } }, "retryMs.first must be"],
    [{ retryMs: { first: 60_000, max: 1 } }, "retryMs.max must be"],
    [{ retryMs: 5 as never }, "retryMs.first must be"],
  ])("are delivered with %j: refused", (options, message) => {
    const { counter, store, onThreshold } = parts();
    const tracker = new UsageTracker(counter, { store });
    expect(() => new ThresholdNotifier({ tracker, thresholds: [0.5], onThreshold, ...options })).toThrow(message);
  });
});
