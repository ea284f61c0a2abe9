import { setImmediate as turn } from "node:timers/promises";
import {
  LocalCounterBackend,
  memoryStore,
  type PeriodScheme,
  UnknownBackendError,
  UnknownUsageError,
  type UsageStore,
  utcDays,
  utcMonths,
  utcMonthsFrom,
} from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { openUsage, WindowSchemeError } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { opened, seen } from "./support/open-windows.ts";

const one = { apiRequests: 1 };
const START = "2026-01-30T12:00:00Z";

/** A counter that says whether it was ended. */
class Ended extends LocalCounterBackend {
  isEnded = false;
  async [Symbol.asyncDispose](): Promise<void> {
    this.isEnded = true;
  }
}

/** Makes counters, and has them. */
function factory(clock = new ManualClock(START)) {
  const made: Ended[] = [];
  const counter = (periods: PeriodScheme): Ended => {
    made.push(new Ended([], { periods, clock }));
    return made.at(-1) as Ended;
  };
  return { clock, made, counter };
}

describe("a window whose scheme differs by backend, while it is being opened", () => {
  it("has one counter for all who come meanwhile, whenever they come, and all are held in all windows", async () => {
    const { clock, made, counter } = factory();
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const slow = async (periods: PeriodScheme) => {
      if (made.length > 0) await gate;
      return counter(periods);
    };
    const { usage } = await opened<"day" | "plan">({
      windows: { day: utcDays, plan: () => utcMonths },
      counter: slow,
      clock,
      defaults: { day: { apiRequests: 5 }, plan: { apiRequests: 2 } },
    });
    const waiting = [usage.ensure("first"), usage.ensure(["first", "second"])];
    expect(() => usage.tryRecord("first", one)).toThrow(UnknownBackendError);
    await turn();
    waiting.push(usage.ensure("third"));
    open();
    // Also in the very microtasks in which it becomes known.
    for (let i = 0; i < 20; i++) {
      waiting.push(usage.ensure(`late-${i}`));
      await null;
    }
    await Promise.all(waiting);
    expect(made).toHaveLength(2);
    for (const backend of ["first", "second", "third", "late-0", "late-19"]) {
      expect(usage.ensure(backend)).toBeUndefined();
      expect([one, one, one].map((proposed) => usage.tryRecord(backend, proposed))).toEqual([true, true, false]);
      expect(seen(usage, backend)).toEqual({ day: [2, 0], plan: [2, 0] });
    }
  });

  it("is closed with the rest, and nobody new comes then", async () => {
    const { clock, made, counter } = factory();
    let isSlow = false;
    const slow = async (periods: PeriodScheme) => {
      if (isSlow) await turn();
      return counter(periods);
    };
    const schemes = [utcMonths, utcMonthsFrom(5)] as const;
    const windows = { day: utcDays, plan: (name: string) => schemes[name === "acme" ? 0 : 1] };
    const { usage } = await opened<"day" | "plan">({ windows, counter: slow, clock });
    isSlow = true;
    const ensuring = usage.ensure("acme");
    await usage.close();
    await ensuring;
    expect(made.map(({ isEnded }) => isEnded)).toEqual([true, true]);
    await expect(usage.ensure("initech")).rejects.toThrow(/windows\.plan is closed/);
    expect(made).toHaveLength(2);
  });

  it("is tried again by who comes later, where its counter could not be made", async () => {
    const { clock, counter } = factory();
    let fault: Error | undefined;
    const faulty = (periods: PeriodScheme) => {
      if (fault !== undefined) throw fault;
      return counter(periods);
    };
    const windows = { day: utcDays, plan: () => utcMonths };
    const { usage } = await opened<"day" | "plan">({ windows, counter: faulty, clock });
    fault = new Error("Redis is away");
    const all = await Promise.allSettled([usage.ensure("acme"), usage.ensure("initech")]);
    for (const [index, backend] of ["acme", "initech"].entries()) {
      const { reason } = all[index] as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(UnknownUsageError);
      expect(reason).toMatchObject({ backends: [backend], cause: fault });
    }
    fault = undefined;
    await usage.ensure("acme");
    expect(usage.tryRecord("acme", one)).toBe(true);
  });

  it("needs no store that answers, where who is not known is admitted", async () => {
    const { clock, counter } = factory();
    let isAway = false;
    const store: UsageStore = memoryStore();
    const away = {
      ...store,
      totals: async (...args: Parameters<UsageStore["totals"]>) => {
        if (isAway) throw new Error("away");
        return store.totals(...args);
      },
      tallies: async (...args: Parameters<UsageStore["tallies"]>) => {
        if (isAway) throw new Error("away");
        return store.tallies(...args);
      },
    };
    const windows = { day: utcDays, plan: () => utcMonths };
    const { usage } = await opened<"day" | "plan">({ windows, counter, clock, store: away, whenUnknown: "admit" });
    isAway = true;
    await usage.ensure("acme");
    expect(usage.tryRecord("acme", one)).toBe(true);
    isAway = false;
  });
});

describe("a window's function", () => {
  it.each<[what: string, schemeOf: () => unknown, message: RegExp]>([
    [
      "throws",
      () => {
        throw new Error("no plan");
      },
      /^windows\.plan failed for acme: no plan$/,
    ],
    ["returns nothing", () => undefined, /^windows\.plan must return a period scheme, got undefined for acme$/],
    ["returns null", () => null, /got null for acme/],
    ["returns a name", () => "month", /got month for acme/],
    ["returns a promise", async () => utcMonths, /got \[object Promise\] for acme/],
    [
      "returns a scheme that throws",
      () => ({
        at: () => {
          throw new Error("no time");
        },
      }),
      /^windows\.plan must divide time into periods .* it throws no time/,
    ],
    [
      "returns a scheme without periods",
      () => ({ at: () => undefined }),
      /^windows\.plan must divide time .* it returns undefined/,
    ],
    [
      "returns a scheme of other times",
      () => ({ at: () => ({ key: "2020", start: 0, end: 1 }) }),
      /it returns \{"key":"2020"/,
    ],
    [
      "returns a scheme without keys",
      () => ({ at: (time: number) => ({ key: "", start: time, end: time + 1 }) }),
      /it returns \{"key":""/,
    ],
    [
      "returns a scheme of dates",
      () => ({ at: () => ({ key: "1", start: new Date(0), end: new Date(9e15) }) }),
      /must divide time/,
    ],
  ])("that %s refuses the backend, names the window, and changes nothing", async (_, schemeOf, message) => {
    const { clock, made, counter } = factory();
    let wrong = true;
    const windows = {
      day: utcDays,
      plan: (name: string) => (name === "acme" && wrong ? (schemeOf() as PeriodScheme) : utcMonths),
    };
    const { usage, store } = await opened<"day" | "plan">({ windows, counter, clock, defaults: { day: one } });
    await expect(usage.ensure("acme")).rejects.toThrow(WindowSchemeError);
    await expect(usage.ensure(["initech", "acme"])).rejects.toThrow(message);
    for (const use of [
      () => usage.record("acme", one),
      () => usage.tryRecord("acme", one),
      () => usage.withinLimits("acme", one),
      () => usage.tryReserve("acme", one),
      () => usage.check("acme", one),
      () => usage.tracker("day", "acme"),
    ]) {
      expect(use).toThrow(/windows\.plan|unknown backend "acme"/);
    }
    await expect(usage.reserve("acme", one)).rejects.toThrow(/windows\.plan|unknown backend "acme"/);
    // Nobody else is affected.
    await usage.ensure("initech");
    expect(usage.tryRecord("initech", one)).toBe(true);
    expect(made).toHaveLength(2);
    wrong = false;
    await usage.ensure("acme");
    expect(usage.tryRecord("acme", one)).toBe(true);
    expect(usage.tryRecord("acme", one)).toBe(false);
    await usage.flush();
    const rows = (await store.history({})).map(({ period, backend }) => `${period} ${backend}`);
    expect(rows).toEqual(["2026-01-30 acme", "2026-01-30 initech", "plan:2026-01 acme", "plan:2026-01 initech"]);
  });

  it("that fails for who is held already refuses it with nothing counted, and limits stay", async () => {
    const { clock, counter } = factory();
    let isFailing = false;
    const windows = {
      day: utcDays,
      plan: (): PeriodScheme => {
        if (isFailing) throw new Error("no plan");
        return utcMonths;
      },
    };
    const { usage } = await opened<"day" | "plan">({ windows, counter, clock, defaults: { day: { apiRequests: 2 } } });
    await usage.ensure("acme");
    isFailing = true;
    expect(() => usage.tryRecord("acme", one)).toThrow("windows.plan failed for acme: no plan");
    expect(() => usage.setLimits("acme", { day: { apiRequests: 9 } })).toThrow(WindowSchemeError);
    expect(() => usage.release("acme")).toThrow(WindowSchemeError);
    isFailing = false;
    expect(seen(usage, "acme")).toEqual({ day: [0, 0], plan: [0, 0] });
    expect(usage.check("acme", {}).windows.day.limits).toEqual({ apiRequests: 2 });
  });
});

describe("openUsage with windows", () => {
  it.each<[what: string, fault: (window: string, made: readonly object[]) => unknown, message: RegExp]>([
    [
      "a counter cannot be made",
      (window) => {
        if (window === "day") throw new Error("Redis is away");
      },
      /^Redis is away$/,
    ],
    [
      "one counts other dimensions",
      (window) => (window === "day" ? { dimensions: ["tokens"] } : {}),
      /store's totals do not return|same dimensions: .* windows\.(day|month)/,
    ],
    [
      "one counts them in another order",
      (window) => (window === "day" ? { dimensions: ["egressBytes", "apiRequests", "ingressBytes"] } : {}),
      /same dimensions: that of windows\.\w+ counts /,
    ],
    [
      "one divides time otherwise",
      (window) => (window === "day" ? { periods: utcMonths } : {}),
      /periods that it is given: that of windows\.day is in the period 2026-01, not day:2026-01-01/,
    ],
  ])("leaves nothing open where %s", async (_, fault, message) => {
    const { clock } = factory();
    const made: Ended[] = [];
    const counter = async (periods: PeriodScheme, window: string) => {
      const options = fault(window, made);
      // The other one takes longer.
      if (window === "month") await turn();
      made.push(new Ended([], { periods, clock, ...(options as object) }));
      return made.at(-1) as Ended;
    };
    const windows = { month: utcMonths, day: utcDays };
    const opening = openUsage({ windows, counter: counter as never, store: memoryStore(), clock });
    await expect(opening).rejects.toThrow(message);
    expect(made.length).toBeGreaterThan(0);
    expect(made.map(({ isEnded }) => isEnded)).toEqual(made.map(() => true));
  });

  it("leaves nothing open where the store cannot be read", async () => {
    const { clock, made, counter } = factory();
    const store = { ...memoryStore(), totals: async () => Promise.reject(new Error("no database")) };
    const windows = { month: utcMonths, day: utcDays };
    await expect(openUsage({ windows, counter, store, clock })).rejects.toThrow("no database");
    expect(made.map(({ isEnded }) => isEnded)).toEqual([true, true]);
  });
});

describe("a window that not every backend is counted in", () => {
  it("counts and limits those that its function has a scheme for, and is opened once one of them comes", async () => {
    const { clock, made, counter } = factory();
    const plans = new Map([["free", { day: true }]]);
    const planOf = (backend: string) => plans.get(backend.split("-")[0] ?? "");
    const { usage, store } = await opened<"month" | "day">({
      windows: { month: utcMonths, day: (backend) => (planOf(backend)?.day ? utcDays : "none") },
      counter,
      clock,
      limits: (backend) => ({ month: { apiRequests: 3 }, day: planOf(backend)?.day ? { apiRequests: 1 } : {} }),
    });
    await usage.ensure("pro-1");
    expect(made).toHaveLength(1);
    expect([one, one, one, one].map((proposed) => usage.tryRecord("pro-1", proposed))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(Object.keys(usage.check("pro-1", one).windows)).toEqual(["month"]);
    expect(() => usage.tracker("day", "pro-1")).toThrow('there is no window "day" of "pro-1"');
    await expect(usage.grant("pro-1", one, { window: "day", id: "x", reason: "late" })).rejects.toThrow(
      "there is no window",
    );

    await usage.ensure("free-1");
    expect(usage.ensure(["free-1", "pro-1"])).toBeUndefined();
    expect([one, one].map((proposed) => usage.tryRecord("free-1", proposed))).toEqual([true, false]);
    expect(usage.check("free-1", one)).toMatchObject({ window: "day", reason: "limit" });
    expect(usage.tracker("day", "free-1").counter.backends()).toEqual(["free-1"]);
    await usage.flush();
    expect((await store.history({})).map(({ period, backend }) => `${backend} ${period}`).sort()).toEqual([
      "free-1 2026-01",
      "free-1 day:2026-01-30",
      "pro-1 2026-01",
    ]);
    expect(usage.release("pro-1")).toBe(true);
  });

  it("refuses a backend that is in none of its windows", async () => {
    const { usage } = await opened<"day">({ windows: { day: () => "none" } });
    expect(usage.ensure("acme")).toBeUndefined();
    expect(() => usage.tryRecord("acme", one)).toThrow(UnknownBackendError);
  });

  it("takes in who is counted in it from now on", async () => {
    const { clock, counter } = factory();
    let isCounted = false;
    const { usage } = await opened<"month" | "day">({
      windows: { month: utcMonths, day: () => (isCounted ? utcDays : "none") },
      counter,
      clock,
    });
    await usage.ensure("acme");
    usage.record("acme", one);
    isCounted = true;
    expect(() => usage.record("acme", one)).toThrow(UnknownBackendError);
    await usage.ensure("acme");
    usage.record("acme", one);
    expect(seen(usage, "acme")).toEqual({ month: [2, 0], day: [1, 0] });
  });
});
