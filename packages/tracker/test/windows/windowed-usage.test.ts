import {
  LocalCounterBackend,
  memoryStore,
  type PeriodScheme,
  UnknownBackendError,
  type UsageStore,
  utcDays,
  utcMinutes,
  utcMonths,
  utcMonthsFrom,
} from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { openUsage } from "@usage/tracker";
import { toHeaders, toProblem } from "@usage/tracker/http";
import { describe, expect, it } from "vitest";

const windows = { month: utcMonths, day: utcDays };
const limits = { acme: { month: { apiRequests: 1_000 }, day: { apiRequests: 100 } } };

/** An instance on a store of its own, unless it is given one. */
async function opened({ store = memoryStore(), clock = new ManualClock("2026-01-30T12:00:00Z") }: Parts = {}) {
  const counter = (periods: PeriodScheme) => new LocalCounterBackend([], { periods, clock });
  const usage = await openUsage({ windows, counter, store, clock, limits, random: () => 0 });
  await usage.ensure("acme");
  return { usage, store, clock };
}

interface Parts {
  readonly store?: UsageStore;
  readonly clock?: ManualClock;
}

const one = { apiRequests: 1 };

describe("usage with windows", () => {
  it("is counted in each of them, and must fit in all", async () => {
    const { usage } = await opened();
    expect(usage.windows).toEqual(["month", "day"]);
    for (let i = 0; i < 100; i++) expect(usage.tryRecord("acme", one)).toBe(true);
    expect(usage.tryRecord("acme", one)).toBe(false);
    expect(usage.withinLimits("acme", one)).toBe(false);
    expect(usage.tryReserve("acme", one)).toBeUndefined();
    expect(usage.backendsWithinLimits(["acme"], one)).toEqual([]);
    // What the day refuses, the month has not counted.
    expect(usage.check("acme", {}).windows.month.usage.apiRequests).toBe(100);
    usage.record("acme", one);
    expect(usage.check("acme", {}).windows.day.usage.apiRequests).toBe(101);
    expect(usage.check("acme", {}).windows.month.usage.apiRequests).toBe(101);
    await usage.close();
  });

  it("begins at zero in each window when that one ends, over midnight and the month's end", async () => {
    const { usage, clock, store } = await opened();
    const takeAll = (): number => {
      let taken = 0;
      while (usage.tryRecord("acme", one)) taken += 1;
      return taken;
    };
    const hours = (count: number): void => clock.advance(count * 3_600_000);
    expect(takeAll()).toBe(100);
    hours(12);
    expect(takeAll()).toBe(100);
    usage.setLimits("acme", { month: { apiRequests: 250 }, day: { apiRequests: 100 } });
    hours(24);
    // February: both begin anew.
    expect(takeAll()).toBe(100);
    hours(24);
    expect(takeAll()).toBe(100);
    hours(24);
    expect(takeAll()).toBe(50);
    expect(usage.check("acme", one)).toMatchObject({ window: "month", reason: "limit" });
    await usage.close();
    const rows = (await store.history({})).map(({ period, usage: { apiRequests } }) => [period, apiRequests]);
    expect(rows).toEqual([
      ["2026-01", 200],
      ["2026-02", 250],
      ["day:2026-01-30", 100],
      ["day:2026-01-31", 100],
      ["day:2026-02-01", 100],
      ["day:2026-02-02", 100],
      ["day:2026-02-03", 50],
    ]);
  });

  it("goes on in every window where the store stands", async () => {
    const { usage, store, clock } = await opened();
    usage.record("acme", { apiRequests: 60 });
    await usage.close();
    const next = await opened({ store, clock });
    expect(next.usage.tryRecord("acme", { apiRequests: 41 })).toBe(false);
    expect(next.usage.tryRecord("acme", { apiRequests: 40 })).toBe(true);
    clock.advance(24 * 3_600_000);
    expect(next.usage.check("acme", {}).windows.month.usage.apiRequests).toBe(100);
    expect(next.usage.check("acme", {}).windows.day.usage.apiRequests).toBe(0);
    await next.usage.close();
  });

  it("has what it had without windows in the first one", async () => {
    const clock = new ManualClock("2026-01-30T12:00:00Z");
    const store = memoryStore();
    const before = await openUsage({ counter: new LocalCounterBackend(["acme"], { clock }), store, clock });
    before.record("acme", { apiRequests: 990 });
    await before.close();
    const { usage } = await opened({ store, clock });
    expect(usage.tryRecord("acme", { apiRequests: 11 })).toBe(false);
    expect(usage.tryRecord("acme", { apiRequests: 10 })).toBe(true);
    await usage.close();
  });

  it("names the window that refuses for longest, in decisions, events, headers and problems", async () => {
    const { usage, clock } = await opened();
    const refused: unknown[] = [];
    using _listening = usage.onLimit(({ window, backend, exceeded, reason, period }) => {
      refused.push([window, backend, exceeded, reason, period]);
    });
    usage.record("acme", { apiRequests: 100 });
    expect(usage.tryRecord("acme", one)).toBe(false);
    expect(refused).toEqual([["day", "acme", ["apiRequests"], "limit", "day:2026-01-30"]]);
    const byDay = usage.check("acme", one);
    expect(byDay).toMatchObject({ window: "day", allowed: false, retryAfterMs: 12 * 3_600_000 });
    expect(toHeaders(byDay, { now: clock.now() })).toEqual({
      RateLimit: '"month:apiRequests";r=900;t=129600, "day:apiRequests";r=0;t=43200',
      "RateLimit-Policy":
        '"month:apiRequests";q=1000;qu="requests";w=2678400, "day:apiRequests";q=100;qu="requests";w=86400',
      "x-should-retry": "false",
    });
    expect(toProblem(byDay)).toMatchObject({
      detail: expect.stringContaining("of apiRequests in the window day (2026-01-30) leaves no room"),
      "resets-at": "2026-01-31T00:00:00.000Z",
      "violated-policies": ["day:apiRequests"],
    });
    usage.record("acme", { apiRequests: 900 });
    expect(usage.check("acme", one)).toMatchObject({ window: "month" });
    expect(toProblem(usage.check("acme", one))).toMatchObject({
      "resets-at": "2026-02-01T00:00:00.000Z",
      "violated-policies": ["month:apiRequests", "day:apiRequests"],
    });
    await usage.close();
  });

  it("holds in all windows or in none, and settles in all", async () => {
    const { usage } = await opened();
    usage.setLimits("acme", { month: { apiRequests: 50 }, day: { apiRequests: 100 } });
    const hold = usage.tryReserve("acme", { apiRequests: 40 });
    expect(usage.tryReserve("acme", { apiRequests: 11 })).toBeUndefined();
    expect(usage.check("acme", {}).windows.day.held.apiRequests).toBe(40);
    expect(hold?.extend({ apiRequests: 11 })).toBe(false);
    expect(usage.check("acme", {}).windows.day.held.apiRequests).toBe(40);
    expect(usage.check("acme", {}).windows.month.held.apiRequests).toBe(40);
    expect(hold?.extend({ apiRequests: 10 })).toBe(true);
    hold?.settle({ apiRequests: 45 });
    hold?.settle({ apiRequests: 45 });
    const { month, day } = usage.check("acme", {}).windows;
    for (const { usage: used, held } of [month, day]) expect([used.apiRequests, held.apiRequests]).toEqual([45, 0]);
    await usage.close();
  });

  it("extends in no window what a later one refuses", async () => {
    const { usage } = await opened();
    const hold = usage.tryReserve("acme", { apiRequests: 90 });
    expect(hold?.extend({ apiRequests: 11 })).toBe(false);
    expect(usage.check("acme", {}).windows.month.held.apiRequests).toBe(90);
    hold?.void();
    expect(usage.check("acme", {}).windows.month.held.apiRequests).toBe(0);
    await usage.close();
  });

  it("lets wait for what any of them frees, and not for what a limit refuses", async () => {
    const { usage } = await opened();
    const hold = usage.tryReserve("acme", { apiRequests: 100 });
    const waiting = usage.reserve("acme", { apiRequests: 60 }, { waitMs: 1_000 });
    hold?.settle({ apiRequests: 30 });
    const next = await waiting;
    expect(next?.usage.apiRequests).toBe(60);
    next?.settle();
    expect(await usage.reserve("acme", { apiRequests: 11 }, { waitMs: 1_000 })).toBeUndefined();
    await usage.close();
  });

  it("adds in none what would pass the largest number in one of them", async () => {
    const { usage } = await opened();
    usage.setLimits("acme", {});
    usage.tracker("day", "acme").setBaseline("acme", {
      apiRequests: Number.MAX_SAFE_INTEGER - 1,
      egressBytes: 0,
      ingressBytes: 0,
    });
    expect(() => usage.record("acme", { apiRequests: 2 })).toThrow(/past 2\^53-1/);
    expect(usage.check("acme", {}).windows.month.usage.apiRequests).toBe(0);
    await usage.close();
  });
});

describe("a window that is shorter than a day", () => {
  it("limits, is not stored, and keeps nothing that is over", async () => {
    const clock = new ManualClock("2026-01-30T12:00:00Z");
    const store = memoryStore();
    const counter = (periods: PeriodScheme) => new LocalCounterBackend([], { periods, clock });
    const usage = await openUsage({
      windows: { month: utcMonths, minute: utcMinutes },
      counter,
      store,
      clock,
      random: () => 0,
      defaults: { minute: { apiRequests: 5 } },
    });
    await usage.ensure("acme");
    for (let minute = 0; minute < 10; minute++) {
      for (let i = 0; i < 5; i++) expect(usage.tryRecord("acme", one)).toBe(true);
      expect(usage.check("acme", one)).toMatchObject({ window: "minute", retryAfterMs: 60_000 });
      await usage.flush();
      clock.advance(60_000);
    }
    await usage.flush();
    expect((await store.history({})).map(({ period }) => period)).toEqual(["2026-01"]);
    expect((await usage.tracker("minute", "acme").store.history({})).length).toBeLessThanOrEqual(2);
    expect(usage.release("acme")).toBe(true);
    expect(() => usage.tryRecord("acme", one)).toThrow(UnknownBackendError);
    await usage.close();
  });
});

describe("a window whose scheme differs by backend", () => {
  const anchors: Readonly<Record<string, number>> = { acme: 5, initech: 31 };
  const schemes = new Map<number, PeriodScheme>();
  const monthsOf = (backend: string): PeriodScheme => {
    const anchor = anchors[backend] as number;
    const scheme = schemes.get(anchor) ?? utcMonthsFrom(anchor);
    schemes.set(anchor, scheme);
    return scheme;
  };

  it("has each backend's limit in its own periods, stored as such", async () => {
    const clock = new ManualClock("2026-01-30T12:00:00Z");
    const store = memoryStore();
    const made: string[] = [];
    const usage = await openUsage({
      windows: { plan: monthsOf, day: utcDays },
      counter: (periods: PeriodScheme, window: string) => {
        made.push(window);
        return new LocalCounterBackend([], { periods, clock });
      },
      store,
      clock,
      defaults: { plan: { apiRequests: 10 } },
    });
    expect(() => usage.tryRecord("acme", one)).toThrow(UnknownBackendError);
    await usage.ensure(["acme", "initech"]);
    expect(usage.ensure(["acme", "initech"])).toBeUndefined();
    expect(made).toEqual(["day", "plan", "plan"]);
    usage.record("acme", { apiRequests: 10 });
    usage.record("initech", { apiRequests: 10 });
    expect(usage.backendsWithinLimits(["acme", "initech"], one)).toEqual([]);
    clock.advance(24 * 3_600_000);
    // Initech's plan began anew on the 31st.
    expect(usage.backendsWithinLimits(["acme", "initech"], one)).toEqual(["initech"]);
    await usage.close();
    const plans = (await store.history({})).filter(({ period }) => !period.startsWith("day:"));
    expect(plans.map(({ period, backend }) => [period, backend])).toEqual([
      ["2025-12-31", "initech"],
      ["2026-01-05", "acme"],
    ]);
  });

  it("refuses a backend that has none, and no other", async () => {
    const usage = await openUsage({
      windows: { plan: (backend: string) => (backend === "acme" ? utcMonths : (undefined as never)) },
      counter: (periods: PeriodScheme) => new LocalCounterBackend([], { periods }),
      store: memoryStore(),
    });
    await expect(usage.ensure("nobody")).rejects.toThrow(
      /windows\.plan must return a period scheme, got undefined for nobody/,
    );
    await usage.ensure("acme");
    expect(usage.tryRecord("acme", one)).toBe(true);
    await usage.close();
  });
});

describe("options of windows", () => {
  const counter = (periods: PeriodScheme) => new LocalCounterBackend([], { periods });
  const store = memoryStore();

  it.each([
    ["no windows", { windows: {} }, /windows must name at least one/],
    ["a list", { windows: [utcDays] as never }, /windows must be an object/],
    ["a name that is none", { windows: { "a:b": utcDays } }, /window's name must be a letter .* got "a:b"/],
    ["no scheme", { windows: { day: 5 as never } }, /windows\.day must be a period scheme/],
    [
      "limits of another window",
      { windows, limits: { acme: { week: {} } } as never },
      /limits of acme name the window "week"; the windows are month, day/,
    ],
    [
      "default limits of another",
      { windows, defaults: { week: {} } as never },
      /the default limits name the window "week"/,
    ],
    ["limits that are none", { windows, limits: { acme: 5 } as never }, /limits of acme must be an object/],
    ["a list of limits", { windows, limits: [] as never }, /limits must be a function, an object or a Map/],
  ])("are refused: %s", async (_, options, message) => {
    await expect(openUsage({ counter, store, ...options } as never)).rejects.toThrow(message as RegExp);
  });

  it("change nothing where limits are wrong", async () => {
    const { usage } = await opened();
    expect(() => usage.setLimits("acme", { month: { apiRequests: 5 }, day: { apiRequests: -1 } })).toThrow(
      /apiRequests/,
    );
    expect(() => usage.setLimits("acme", { week: {} } as never)).toThrow(/window "week"/);
    expect(usage.check("acme", {}).windows.month.limits.apiRequests).toBe(1_000);
    expect(usage.check("acme", {}).windows.day.limits.apiRequests).toBe(100);
    usage.setLimits("acme", undefined);
    expect(usage.check("acme", {}).windows.month.limits).toEqual({});
    await usage.close();
  });
});
