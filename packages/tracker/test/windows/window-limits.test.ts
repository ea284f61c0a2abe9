import {
  AmountError,
  LocalCounterBackend,
  memoryStore,
  UnknownDimensionError,
  utcDays,
  utcMonths,
} from "@usage/counter-core";
import { openUsage, type WindowLimits } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { opened, type Parts, seen } from "./support/open-windows.ts";

type Windows = "month" | "day";
type Plan = WindowLimits<"apiRequests", Windows>;

const plan: Plan = { month: { apiRequests: 1_000 }, day: { apiRequests: 100 } };

/** What acme may use in each window. */
function limitsOf(usage: Awaited<ReturnType<typeof withAcme>>): Plan {
  const { month, day } = usage.check("acme", {}).windows;
  return { month: month.limits, day: day.limits };
}

async function withAcme(parts: Parts<Windows> = { limits: { acme: plan } }) {
  const { usage } = await opened<Windows>(parts);
  await usage.ensure("acme");
  return usage;
}

/** Each is wrong in one window, the last one or the first. */
const WRONG: readonly [what: string, limits: unknown, message: RegExp][] = [
  [
    "an amount that is none",
    { month: { apiRequests: 1 }, day: { apiRequests: -1 } },
    /^window day: apiRequests of .*-1/,
  ],
  ["the same in the first one", { month: { apiRequests: 0.5 }, day: {} }, /^window month: apiRequests of /],
  ["what is not counted", { month: {}, day: { tokens: 1 } }, /^window day: unknown dimension "tokens"/],
  ["limits of a window that are none", { day: null }, /^window day: limits of backend/],
  ["a window's limits that are a promise", { day: Promise.resolve({}) }, /^window day: limits of backend/],
  ["a window that there is not", { day: {}, week: {} }, /window "week"; the windows are month, day/],
  ["no object", 5, /must be an object of limits, by window/],
  ["null", null, /must be an object of limits, by window/],
  ["a list", [], /must be an object of limits, by window/],
  ["a promise", Promise.resolve(plan), /must be an object of limits, by window/],
];

describe("limits by window that are wrong", () => {
  it.each(WRONG)("are refused when usage is opened: %s", async (_, limits, message) => {
    const counter = (): never => {
      throw new Error("nothing may be made");
    };
    const options = { windows: { month: utcMonths, day: utcDays }, counter, store: memoryStore() };
    for (const wrong of [{ limits: { acme: limits } }, { limits: new Map([["acme", limits]]) }, { defaults: limits }]) {
      await expect(openUsage({ ...options, ...wrong } as never)).rejects.toThrow(message);
    }
  });

  it.each(WRONG)("change nothing in any window: %s", async (_, limits, message) => {
    const usage = await withAcme();
    expect(() => usage.setLimits("acme", limits as Plan)).toThrow(message);
    expect(() => usage.updateLimits({ acme: limits as Plan })).toThrow(message);
    expect(() => usage.updateLimits(() => limits as Plan)).toThrow(message);
    expect(limitsOf(usage)).toEqual(plan);
    // Nor for who comes later.
    await usage.ensure("initech");
    expect(usage.check("initech", {}).limits).toEqual({});
  });

  it.each(WRONG)("refuse the backend that has them, and no other: %s", async (_, limits, message) => {
    const { usage } = await opened<Windows>({ limits: (name) => (name === "acme" ? (limits as Plan) : plan) });
    const all = [usage.ensure("acme"), usage.ensure("initech")];
    await expect(all[0]).rejects.toThrow(message);
    await all[1];
    expect(usage.tryRecord("initech", { apiRequests: 101 })).toBe(false);
    expect(() => usage.tryRecord("acme", {})).toThrow(/unknown backend/);
  });

  it("say what was wrong, as errors of one window do", async () => {
    const usage = await withAcme();
    expect(() => usage.setLimits("acme", { day: { apiRequests: -1 } })).toThrow(AmountError);
    expect(() => usage.setLimits("acme", { day: { tokens: 1 } as never })).toThrow(UnknownDimensionError);
    expect(() => usage.setLimits("", plan)).toThrow(/cannot name a backend/);
    expect(limitsOf(usage)).toEqual(plan);
  });

  it("of what the counters do not count, though the store knows it, are refused in all windows", async () => {
    const store = memoryStore({ dimensions: ["apiRequests", "tokens"] });
    const dimensions = ["apiRequests"] as const;
    await using usage = await openUsage<Windows, string>({
      windows: { month: utcMonths, day: utcDays },
      counter: (periods) => new LocalCounterBackend<string>([], { periods, dimensions }),
      store,
    });
    await usage.ensure("acme");
    const tokens = { month: { apiRequests: 1 }, day: { tokens: 1 } };
    expect(() => usage.setLimits("acme", tokens)).toThrow(/window day: unknown dimension "tokens"/);
    expect(() => usage.updateLimits(() => tokens)).toThrow(/window day: unknown dimension "tokens"/);
    expect(usage.tryRecord("acme", { apiRequests: 2 })).toBe(true);
  });
});

describe("limits by window that change", () => {
  it("of one backend hold at once, also while it is being brought in", async () => {
    const { usage } = await opened<Windows>({ limits: { acme: plan } });
    const ensuring = usage.ensure("acme");
    usage.setLimits("acme", { day: { apiRequests: 5 } });
    await ensuring;
    expect(limitsOf(usage)).toEqual({ month: {}, day: { apiRequests: 5 } });
    usage.setLimits("acme", undefined);
    expect(limitsOf(usage)).toEqual({ month: {}, day: {} });
    usage.setLimits("initech", plan);
    await usage.ensure("initech");
    expect(usage.tryRecord("initech", { apiRequests: 101 })).toBe(false);
  });

  it("are read once: what the caller does to them later changes nothing", async () => {
    const own = { month: { apiRequests: 10 }, day: { apiRequests: 10 } };
    const usage = await withAcme({ limits: { acme: own, initech: own }, defaults: own });
    own.day.apiRequests = 1_000;
    await usage.ensure(["initech", "hooli"]);
    for (const backend of ["acme", "initech", "hooli"]) {
      expect(usage.tryRecord(backend, { apiRequests: 11 })).toBe(false);
    }
  });

  it("all at once replace also those of single backends, in every window", async () => {
    const usage = await withAcme();
    usage.setLimits("acme", { day: { apiRequests: 1 } });
    const next = { month: { apiRequests: 20 }, day: { apiRequests: 10 } };
    usage.updateLimits({ acme: next });
    expect(limitsOf(usage)).toEqual(next);
    expect(usage.tryRecord("acme", { apiRequests: 10 })).toBe(true);
    expect(usage.nearLimit(1)).toBe(true);
    expect(usage.nearLimit(1.1)).toBe(false);
    expect(seen(usage, "acme")).toEqual({ month: [10, 0], day: [10, 0] });
    usage.updateLimits(() => undefined);
    expect(limitsOf(usage)).toEqual({ month: {}, day: {} });
  });

  it("all at once change in no window where the function fails for one that it asks late", async () => {
    const usage = await withAcme();
    let asked = 0;
    const failing = (): Plan => {
      asked += 1;
      if (asked > 1) throw new Error("plans cannot be read");
      return { month: { apiRequests: 1 }, day: { apiRequests: 1 } };
    };
    expect(() => usage.updateLimits(failing)).toThrow("plans cannot be read");
    expect(asked).toBe(2);
    expect(limitsOf(usage)).toEqual(plan);
  });
});
