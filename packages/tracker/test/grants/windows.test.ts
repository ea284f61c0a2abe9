import { type PeriodScheme, utcDays, utcMinutes, utcMonths, utcMonthsFrom } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { toHeaders } from "@usage/tracker/http";
import { describe, expect, it } from "vitest";
import { opened } from "../windows/support/open-windows.ts";

const FIVE = { apiRequests: 5 };
const OURS = { id: "ticket-4711", reason: "an outage of ours" };
const LIMITS = { acme: { month: { apiRequests: 20 }, day: { apiRequests: 10 } } };

describe("a grant in a window", () => {
  it("raises that window alone, the first one unless another is named, and ends with its period", async () => {
    const { usage, clock, store } = await opened({ limits: LIMITS });
    await usage.ensure("acme");
    expect(await usage.grant("acme", FIVE, OURS)).toBe(true);
    expect(await usage.grant("acme", FIVE, { ...OURS, window: "day" })).toBe(true);
    expect(await usage.grant("acme", FIVE, { ...OURS, window: "day" })).toBe(false);
    const decision = usage.check("acme", {});
    expect(decision.windows.month).toMatchObject({ limits: { apiRequests: 25 }, granted: FIVE });
    expect(decision.windows.day).toMatchObject({ limits: { apiRequests: 15 }, granted: FIVE });
    expect(toHeaders(decision)["RateLimit-Policy"]).toMatch(/"month:apiRequests";q=25.*"day:apiRequests";q=15/);
    expect(usage.tryRecord("acme", { apiRequests: 15 })).toBe(true);
    expect(usage.tryRecord("acme", { apiRequests: 1 })).toBe(false);
    clock.advance(24 * 3_600_000);
    expect(usage.check("acme", {}).windows).toMatchObject({
      month: { limits: { apiRequests: 25 } },
      day: { limits: { apiRequests: 10 } },
    });
    const stored = await store.grants?.();
    expect(stored?.map(({ period }) => period)).toEqual(["2026-01", "day:2026-01-30"]);
  });

  it("is known to who opens the same store, of each window, also where that is made for a tenant that comes", async () => {
    const { usage, store } = await opened({ limits: LIMITS });
    await usage.grant("acme", FIVE, { ...OURS, window: "day" });
    const { usage: other } = await opened({ limits: LIMITS, store });
    await other.ensure("acme");
    expect(other.check("acme", {}).windows.day.limits).toEqual({ apiRequests: 15 });
    const tenth = utcMonthsFrom(10);
    const windows = { month: (): PeriodScheme => tenth, day: utcDays };
    const { usage: granting } = await opened({ limits: LIMITS, store, windows });
    await granting.grant("acme", { apiRequests: 7 }, OURS);
    const { usage: late } = await opened({ limits: LIMITS, store, windows });
    await late.ensure("acme");
    expect(late.check("acme", {}).windows.month.limits).toEqual({ apiRequests: 27 });
  });

  it("is refused in one that is not stored, and in one that there is not", async () => {
    const clock = new ManualClock("2026-01-30T12:00:00Z");
    const windows = { month: utcMonths, minute: utcMinutes };
    const { usage, store } = await opened({ windows, clock, limits: {} });
    const inMinute = usage.grant("acme", FIVE, { ...OURS, window: "minute" });
    await expect(inMinute).rejects.toThrow('the window "minute" is not stored');
    const inWeek = usage.grant("acme", FIVE, { ...OURS, window: "week" as "month" });
    await expect(inWeek).rejects.toThrow('there is no window "week"');
    await expect(usage.grant("", FIVE, OURS)).rejects.toThrow("cannot name a backend");
    await expect(usage.grant("acme", FIVE, undefined as unknown as typeof OURS)).rejects.toThrow("a grant's id");
    expect(await store.grants?.()).toEqual([]);
  });
});
