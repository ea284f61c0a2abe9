import {
  daysIn,
  LocalCounterBackend,
  monthsIn,
  type PeriodScheme,
  type Tally,
  utcDays,
  utcHours,
  utcMinutes,
  utcMonthsFrom,
} from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { describe, expect, it } from "vitest";
import { HOUR_MS, opened } from "./support/open-windows.ts";

const STEP_MS = HOUR_MS / 4;
const one = { apiRequests: 1 };

/** What clocks in a zone show, by the runtime's own formatting: `2026-03-29`. */
function dateIn(timeZone: string, timeMs: number): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short" }).format(timeMs);
}

describe("windows in a time zone", () => {
  it.each([
    ["Europe/Berlin, into summer time", "Europe/Berlin", "2026-03-28T00:00:00Z"],
    ["Europe/Berlin, out of it, over the month's end", "Europe/Berlin", "2026-10-24T00:00:00Z"],
    ["Lord Howe, by half an hour", "Australia/Lord_Howe", "2026-04-03T00:00:00Z"],
    ["Chatham, 12:45 and 13:45", "Pacific/Chatham", "2026-09-25T00:00:00Z"],
    ["Kolkata, half an hour beside the hour", "Asia/Kolkata", "2026-02-27T00:00:00Z"],
    ["Kathmandu, a quarter beside it, over a leap day", "Asia/Kathmandu", "2028-02-27T00:00:00Z"],
    ["Los Angeles, over the year's end", "America/Los_Angeles", "2026-12-30T00:00:00Z"],
  ])("open again when clocks there show another day or month: %s", async (_, timeZone, start) => {
    const clock = new ManualClock(start);
    const { usage, store } = await opened<"month" | "day">({
      windows: { month: monthsIn(timeZone), day: daysIn(timeZone) },
      counter: (periods: PeriodScheme) => new LocalCounterBackend([], { periods, clock, idleMs: 1e12 }),
      clock,
      defaults: { month: { apiRequests: 110 }, day: { apiRequests: 40 } },
    });
    await usage.ensure("acme");
    const used = new Map<string, number>();
    const has = (key: string): number => used.get(key) ?? 0;
    for (let step = 0; step < 8 * 24 * 4; step++) {
      const date = dateIn(timeZone, clock.now());
      const keys = [date.slice(0, 7), `day:${date}`] as const;
      const fits = has(keys[0]) < 110 && has(keys[1]) < 40;
      expect(usage.tryRecord("acme", one), `${date} ${new Date(clock.now()).toISOString()}`).toBe(fits);
      if (fits) for (const key of keys) used.set(key, has(key) + 1);
      clock.advance(STEP_MS);
    }
    await usage.flush();
    const rows = (await store.history({})).map(({ period, usage: { apiRequests } }) => [period, apiRequests]);
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(used));
  });

  it("have the anchor of each tenant, the 31st and the 29th of a short month included", async () => {
    const plans = [utcMonthsFrom(29), utcMonthsFrom(31), monthsIn("Asia/Kolkata", 15)];
    const clock = new ManualClock("2026-02-27T12:00:00Z");
    const { usage, store } = await opened<"plan" | "day">({
      windows: { plan: (name) => plans[Number(name)] as PeriodScheme, day: utcDays },
      clock,
      defaults: { plan: { apiRequests: 5 } },
    });
    const names = ["0", "1", "2"];
    const takeAll = async (): Promise<number[]> => {
      await usage.ensure(names);
      return names.map((name) => {
        let taken = 0;
        while (usage.tryRecord(name, one)) taken += 1;
        return taken;
      });
    };
    expect(await takeAll()).toEqual([5, 5, 5]);
    clock.advance(12 * HOUR_MS);
    // February has neither: both begin on its last day, in periods that have one key.
    expect(await takeAll()).toEqual([5, 5, 0]);
    clock.set("2026-03-14T18:29:59Z");
    clock.advance(1_000);
    expect(await takeAll()).toEqual([0, 0, 5]);
    clock.set("2026-03-29T00:00:00Z");
    clock.advance(1_000);
    expect(await takeAll()).toEqual([5, 0, 0]);
    clock.set("2026-03-31T00:00:00Z");
    clock.advance(1_000);
    expect(await takeAll()).toEqual([0, 5, 0]);
    await usage.flush();
    const plansOf = (await store.history({})).filter(({ period }) => !period.startsWith("day:"));
    expect(plansOf.map(({ period, backend, usage }) => `${period} ${backend} ${usage.apiRequests}`)).toEqual([
      "2026-01-29 0 5",
      "2026-01-31 1 5",
      "2026-02-15 2 5",
      "2026-02-28 0 5",
      "2026-02-28 1 5",
      "2026-03-15 2 5",
      "2026-03-29 0 5",
      "2026-03-31 1 5",
    ]);
  });
});

describe("a flush of windows that are shorter than a day", () => {
  it("ends though periods end while it runs, and keeps nothing of those that are over", async () => {
    const clock = new ManualClock("2026-01-30T12:00:00Z");
    let isSlow = true;
    class Slow extends LocalCounterBackend {
      readonly #ms: number;
      constructor(periods: PeriodScheme, ms: number) {
        super([], { periods, clock });
        this.#ms = ms;
      }
      override async tallies(): Promise<readonly Tally[]> {
        if (isSlow) clock.advance(this.#ms);
        return super.tallies();
      }
    }
    const { usage, store } = await opened<"minute" | "hour" | "day">({
      windows: { minute: utcMinutes, hour: utcHours, day: utcDays },
      counter: (periods, window) =>
        new Slow(periods, window === "minute" ? 61_000 : window === "hour" ? HOUR_MS + 1 : 1),
      clock,
      intervalMs: 2 ** 31 - 1,
      nearLimitIntervalMs: 2 ** 31 - 1,
    });
    for (let turn = 0; turn < 8; turn++) {
      await usage.ensure("acme");
      usage.record("acme", one);
      await usage.flush({ timeoutMs: 2 ** 31 - 1 });
      await usage.refresh();
    }
    const rows = (await store.history({})).map(({ period, usage: { apiRequests } }) => `${period} ${apiRequests}`);
    expect(rows).toEqual(["day:2026-01-30 8"]);
    isSlow = false;
    for (const { tracker, window } of usage.trackers()) {
      if (window === "day") continue;
      expect((await tracker.store.history({})).length).toBeLessThanOrEqual(2);
      expect(await tracker.counter.tallies()).toEqual([]);
    }
  });
});
