import {
  AmountError,
  attach,
  type Hold,
  LocalCounterBackend,
  type PeriodScheme,
  ThreadedCounterBackend,
  UnknownBackendError,
  UnknownDimensionError,
  utcDays,
  utcMonths,
} from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { describe, expect, it } from "vitest";
import { HOUR_MS, opened, type Parts, seen } from "./support/open-windows.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const limits = { acme: { month: { apiRequests: 1_000 }, day: { apiRequests: 100 } } };

async function holding(parts: Parts<"month" | "day"> = {}) {
  const all = await opened<"month" | "day">({ limits, ...parts });
  await all.usage.ensure("acme");
  return all;
}

describe("a hold of several windows", () => {
  it.each([
    ["month", { month: { apiRequests: 50 }, day: { apiRequests: 100 } }],
    ["day", { month: { apiRequests: 100 }, day: { apiRequests: 50 } }],
  ])("is extended in all, or where one refuses (the %s) in none, and nobody is told of room", async (_, plan) => {
    const { usage } = await holding();
    usage.setLimits("acme", plan);
    const freed: string[] = [];
    for (const { tracker } of usage.trackers()) tracker.counter.onFreed((backend) => void freed.push(backend));
    const hold = usage.tryReserve("acme", { apiRequests: 40 });
    expect(hold?.canExtend({ apiRequests: 11 })).toBe(false);
    expect(hold?.extend({ apiRequests: 11 })).toBe(false);
    expect(seen(usage, "acme")).toEqual({ month: [0, 40], day: [0, 40] });
    expect(freed).toEqual([]);
    expect(hold?.extend({ apiRequests: 10 })).toBe(true);
    expect(seen(usage, "acme")).toEqual({ month: [0, 50], day: [0, 50] });
    hold?.void();
    expect(seen(usage, "acme")).toEqual({ month: [0, 0], day: [0, 0] });
  });

  it("counts in all or, where the sum would be too large in one, in none", async () => {
    const { usage } = await holding();
    usage.setLimits("acme", {});
    const most = { apiRequests: MAX - 5, egressBytes: 0, ingressBytes: 0 };
    usage.tracker("day", "acme").setBaseline("acme", most);
    const hold = usage.tryReserve("acme", { apiRequests: 5 });
    for (const work of [() => hold?.count({ apiRequests: 6 }), () => hold?.settle({ apiRequests: 6 })]) {
      expect(work).toThrow(AmountError);
      expect(seen(usage, "acme")).toEqual({ month: [0, 5], day: [MAX - 5, 5] });
      expect(hold?.state).toBe("open");
    }
    expect(usage.tryReserve("acme", { apiRequests: 1 })).toBeUndefined();
    expect(usage.tryRecord("acme", { apiRequests: 6 })).toBe(false);
    expect(seen(usage, "acme").month).toEqual([0, 5]);
    hold?.settle({ apiRequests: 4 });
    expect(seen(usage, "acme")).toEqual({ month: [4, 0], day: [MAX - 1, 0] });
  });

  it("is none where a counter throws, or refuses what it said would fit", async () => {
    let fault: "throws" | "refuses" | undefined;
    class Faulty extends LocalCounterBackend {
      override hold(...args: Parameters<LocalCounterBackend["hold"]>): Hold | undefined {
        if (fault === "throws") throw new Error("out of order");
        return fault === "refuses" ? undefined : super.hold(...args);
      }
    }
    const clock = new ManualClock("2026-01-30T12:00:00Z");
    const counter = (periods: PeriodScheme, window: string) => {
      return window === "day" ? new Faulty([], { periods, clock }) : new LocalCounterBackend([], { periods, clock });
    };
    const { usage } = await holding({ clock, counter });
    fault = "throws";
    expect(() => usage.tryReserve("acme", { apiRequests: 1 })).toThrow("out of order");
    fault = "refuses";
    expect(usage.tryReserve("acme", { apiRequests: 1 })).toBeUndefined();
    expect(seen(usage, "acme")).toEqual({ month: [0, 0], day: [0, 0] });
  });

  it("holds nothing of what is no usage", async () => {
    const { usage } = await holding();
    expect(() => usage.tryReserve("acme", { apiRequests: -1 })).toThrow(AmountError);
    expect(() => usage.tryReserve("acme", { tokens: 1 } as never)).toThrow(UnknownDimensionError);
    expect(() => usage.tryReserve("acme", {}, { ttlMs: 0 })).toThrow(/ttlMs/);
    expect(() => usage.tryReserve("initech", {})).toThrow(UnknownBackendError);
    expect(seen(usage, "acme")).toEqual({ month: [0, 0], day: [0, 0] });
  });

  it("settles above what it kept, and once, whatever comes after", async () => {
    const { usage } = await holding();
    const voided = usage.tryReserve("acme", { apiRequests: 40 });
    const hold = usage.tryReserve("acme", { apiRequests: 60 });
    hold?.count({ apiRequests: 10 });
    expect(seen(usage, "acme")).toEqual({ month: [10, 90], day: [10, 90] });
    hold?.settle({ apiRequests: 100 });
    hold?.settle({ apiRequests: 100 });
    hold?.void();
    expect(hold).toMatchObject({ state: "settled", usage: { apiRequests: 0 } });
    expect(seen(usage, "acme")).toEqual({ month: [110, 40], day: [110, 40] });
    expect(usage.check("acme", {}).windows.day.maxOvershoot).toEqual({ apiRequests: 50 });
    voided?.[Symbol.dispose]();
    voided?.settle({ apiRequests: 1 });
    expect(voided?.state).toBe("voided");
    expect(seen(usage, "acme")).toEqual({ month: [110, 0], day: [110, 0] });
  });

  it("expires in all, and what is settled later counts in all the same", async () => {
    const { usage, clock } = await holding();
    // The counters look at different instants what has expired.
    clock.advance(300);
    const early = usage.tracker("day", "acme").tryReserve("acme", {});
    clock.advance(500);
    const hold = () => usage.tryReserve("acme", { apiRequests: 10 }, { ttlMs: 1_000 });
    const [settled, told, late] = [hold(), hold(), hold()];
    clock.advance(1_600);
    const states = usage.windows.map((window) => usage.check("acme", {}).windows[window].held.apiRequests);
    expect(states).toEqual([30, 0]);
    expect(settled).toMatchObject({ state: "expired", usage: { apiRequests: 0 } });
    expect(settled?.extend({ apiRequests: 1 })).toBe(false);
    settled?.settle();
    told?.settle({ apiRequests: 7 });
    clock.advance(2_000);
    late?.settle({ apiRequests: 5 });
    late?.settle({ apiRequests: 5 });
    expect(seen(usage, "acme")).toEqual({ month: [12, 0], day: [12, 0] });
    early?.void();
  });

  it("that expired and whose backend is gone from one window is settled in none, until it is there again", async () => {
    const { usage, clock } = await holding();
    const hold = usage.tryReserve("acme", { apiRequests: 10 }, { ttlMs: 1_000 });
    clock.advance(3_000);
    expect(usage.tracker("day", "acme").release("acme")).toBe(true);
    expect(() => hold?.settle({ apiRequests: 4 })).toThrow(UnknownBackendError);
    expect(() => hold?.count({ apiRequests: 4 })).toThrow(UnknownBackendError);
    await usage.ensure("acme");
    expect(seen(usage, "acme")).toEqual({ month: [0, 0], day: [0, 0] });
    hold?.settle({ apiRequests: 4 });
    expect(seen(usage, "acme")).toEqual({ month: [4, 0], day: [4, 0] });
  });

  it("settles in each window in the period in which it began", async () => {
    const { usage, clock, store } = await holding();
    const overnight = usage.tryReserve("acme", { apiRequests: 90 }, { ttlMs: 100 * HOUR_MS });
    expect(usage.tryRecord("acme", { apiRequests: 11 })).toBe(false);
    clock.advance(12 * HOUR_MS);
    // The next day is whole; the month still has what it holds.
    expect(seen(usage, "acme")).toEqual({ month: [0, 90], day: [0, 0] });
    const monthly = usage.tryReserve("acme", { apiRequests: 100 }, { ttlMs: 100 * HOUR_MS });
    expect(overnight?.extend({ apiRequests: 11 })).toBe(false);
    expect(overnight?.extend({ apiRequests: 10 })).toBe(true);
    expect(seen(usage, "acme")).toEqual({ month: [0, 200], day: [0, 100] });
    clock.advance(24 * HOUR_MS);
    expect(seen(usage, "acme")).toEqual({ month: [0, 0], day: [0, 0] });
    expect(usage.tryRecord("acme", { apiRequests: 100 })).toBe(true);
    overnight?.settle({ apiRequests: 95 });
    monthly?.count({ apiRequests: 30 });
    monthly?.settle({ apiRequests: 40 });
    await usage.flush();
    const rows = (await store.history({})).map(({ period, usage: { apiRequests } }) => [period, apiRequests]);
    expect(rows).toEqual([
      ["2026-01", 165],
      ["2026-02", 100],
      ["day:2026-01-30", 95],
      ["day:2026-01-31", 70],
      ["day:2026-02-01", 100],
    ]);
  });
});

describe("usage of several windows", () => {
  it("is recorded in none where one of them does not hold its backend", async () => {
    const { usage } = await holding();
    expect(usage.tracker("day", "acme").release("acme")).toBe(true);
    const month = usage.tracker("month", "acme");
    for (const use of [
      () => usage.record("acme", { apiRequests: 1 }),
      () => usage.tryRecord("acme", { apiRequests: 1 }),
      () => usage.withinLimits("acme", { apiRequests: 1 }),
      () => usage.tryReserve("acme", { apiRequests: 1 }),
    ]) {
      expect(use).toThrow(UnknownBackendError);
      expect(month.counter.totalAll("acme").apiRequests).toBe(0);
      expect(month.counter.heldAll("acme").apiRequests).toBe(0);
    }
  });

  it("passes the limit of no window whose threads count at once", async () => {
    const clock = new ManualClock("2026-01-30T12:00:00Z");
    const made: ThreadedCounterBackend[] = [];
    const counter = (periods: PeriodScheme) => {
      made.push(new ThreadedCounterBackend(["acme"], { periods, clock }));
      return made.at(-1) as ThreadedCounterBackend;
    };
    const { usage } = await holding({ clock, counter });
    const [, day] = made;
    // It has what is left of the day.
    const other = attach((day as ThreadedCounterBackend).handle, {
      clock,
      periods: { at: (timeMs) => ({ ...utcDays.at(timeMs), key: `day:${utcDays.at(timeMs).key}` }) },
    });
    expect(other.tryAddAll("acme", { apiRequests: 60 })).toBe(true);
    expect(usage.tryRecord("acme", { apiRequests: 41 })).toBe(false);
    expect(usage.tryRecord("acme", { apiRequests: 30 })).toBe(true);
    expect(other.tryAddAll("acme", { apiRequests: 11 })).toBe(false);
    expect(other.tryAddAll("acme", { apiRequests: 10 })).toBe(true);
    expect(usage.tryRecord("acme", { apiRequests: 1 })).toBe(false);
    expect(seen(usage, "acme")).toEqual({ month: [30, 0], day: [100, 0] });
  });
});

describe("extend of usage with windows", () => {
  it("waits for what any window frees", async () => {
    const { usage } = await holding();
    const [hold, other] = [60, 40].map((apiRequests) => usage.tryReserve("acme", { apiRequests }));
    const waiting = usage.extend(hold as Hold, { apiRequests: 20 }, { waitMs: 10_000 });
    other?.settle({ apiRequests: 10 });
    expect(await waiting).toBe(true);
    expect(seen(usage, "acme")).toEqual({ month: [10, 80], day: [10, 80] });
  });

  it("waits while one window has room and another has not, and is given up on in time", async () => {
    const { usage, clock } = await holding();
    const hold = usage.tryReserve("acme", { apiRequests: 60 });
    const other = usage.tryReserve("acme", { apiRequests: 40 });
    const refused: string[] = [];
    usage.onLimit(({ window, reason }) => void refused.push(`${window} ${reason}`));
    const waiting = usage.extend(hold as Hold, { apiRequests: 20 }, { waitMs: 10_000 });
    clock.advance(9_000);
    expect(seen(usage, "acme")).toEqual({ month: [0, 100], day: [0, 100] });
    clock.advance(1_000);
    expect(await waiting).toBe(false);
    expect(refused).toEqual(["day held"]);
    other?.void();
  });

  it("waits neither for what a limit refuses, nor for a hold of which a period is over, nor for one that has ended", async () => {
    const { usage, clock } = await holding();
    const hold = usage.tryReserve("acme", { apiRequests: 60 }, { ttlMs: 100 * HOUR_MS });
    expect(await usage.extend(hold as Hold, { apiRequests: 101 }, { waitMs: 10_000 })).toBe(false);
    const other = usage.tryReserve("acme", { apiRequests: 40 }, { ttlMs: 100 * HOUR_MS });
    clock.advance(12 * HOUR_MS);
    expect(hold?.period.key).toBe("2026-01");
    expect(await usage.extend(hold as Hold, { apiRequests: 1 }, { waitMs: 10_000 })).toBe(false);
    other?.settle();
    expect(await usage.extend(other as Hold, {}, { waitMs: 10_000 })).toBe(false);
    await expect(usage.extend(hold as Hold, {}, { waitMs: -1 })).rejects.toThrow(/waitMs/);
    await expect(usage.extend(hold as Hold, { apiRequests: -1 })).rejects.toThrow(AmountError);
  });

  it("extends a hold of one window alone as its tracker does", async () => {
    const { usage } = await holding({ windows: { month: utcMonths, day: utcDays } });
    const hold = usage.tracker("day", "acme").tryReserve("acme", { apiRequests: 99 });
    expect(await usage.extend(hold as Hold, { apiRequests: 1 })).toBe(true);
    expect(seen(usage, "acme")).toEqual({ month: [0, 0], day: [0, 100] });
  });
});
