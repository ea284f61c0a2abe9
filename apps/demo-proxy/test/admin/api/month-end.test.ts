import { describe, expect, it } from "vitest";
import { type MonthEndInput, monthEnd } from "../../../src/admin/api/history/month-end.ts";

const DAY_MS = 86_400_000;

/** A month of 30 days, of which the days given are over and the next one has just begun. */
function daysOf(days: readonly number[], changes: Partial<MonthEndInput> = {}) {
  const used = days.reduce((sum, amount) => sum + amount, 0);
  const time = { startMs: 0, unitMs: DAY_MS, nowMs: days.length * DAY_MS, endMs: 30 * DAY_MS };
  return monthEnd({ amounts: [...days, 0], used, fewest: 3, ...time, ...changes });
}

describe("the end of a month, from the days so far", () => {
  it("is certain where all days are alike", () => {
    expect(daysOf([10, 10, 10, 10, 10])).toEqual({ atEnd: 300, low: 300, high: 300, from: 5, perUnit: 10 });
  });

  it("goes on from what is used by the mean of whole days, for the time that is left", () => {
    const half = { nowMs: 4.5 * DAY_MS, amounts: [10, 20, 10, 20, 9], used: 69 };
    // 25.5 days are left, at 15 a day.
    expect(daysOf([10, 20, 10, 20], half)).toMatchObject({ atEnd: Math.round(69 + 25.5 * 15), from: 4, perUnit: 15 });
  });

  it("has the interval of a sum of further days: by their variance, and by that of the mean", () => {
    // Mean 15, variance 100/3, 26 days left: sqrt(100/3 x (26 + 26^2/4)) = 80.6; Student's t of 3 degrees of freedom is 2.353.
    const margin = 2.353 * Math.sqrt((100 / 3) * (26 + 26 ** 2 / 4));
    expect(daysOf([10, 20, 10, 20])).toEqual({
      atEnd: 450,
      low: Math.round(450 - margin),
      high: Math.round(450 + margin),
      from: 4,
      perUnit: 15,
    });
  });

  it("is surer the more days it has, and never less than what is used", () => {
    const widthOf = (days: number): number => {
      const found = daysOf(Array.from({ length: days }, (_, day) => 10 + 10 * (day % 2)));
      return (found?.high ?? 0) - (found?.low ?? 0);
    };
    expect(widthOf(20)).toBeLessThan(widthOf(10));
    expect(widthOf(10)).toBeLessThan(widthOf(4));
    expect(daysOf([0.0001, 500, 1])?.low).toBe(501);
  });

  it("holds what it says of days that are drawn at random: 9 of 10 months end in the interval", () => {
    let state = 7;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    let within = 0;
    for (let month = 0; month < 2_000; month++) {
      const days = Array.from({ length: 30 }, () => 100 + 40 * (random() + random() + random()));
      const used = days.slice(0, 10).reduce((sum, amount) => sum + amount, 0);
      const end = days.reduce((sum, amount) => sum + amount, 0);
      const found = daysOf(days.slice(0, 10), { used });
      if (found !== undefined && found.low <= end && end <= found.high) within += 1;
    }
    expect(within / 2_000).toBeGreaterThan(0.87);
    expect(within / 2_000).toBeLessThan(0.93);
  });

  it("says nothing from one request, from too few days, or from days without use", () => {
    for (const days of [[], [5], [5, 5], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0], [1, 0, 0, 0, 1, 0]]) {
      expect(daysOf(days), days.join()).toBeUndefined();
    }
    expect(daysOf([5, 5, 5])).toBeDefined();
  });

  it("looks back to the first use only, and not at the day in which that began", () => {
    expect(daysOf([0, 0, 0, 0, 1, 10, 10, 10])).toMatchObject({ from: 3, perUnit: 10 });
    expect(daysOf([0, 0, 0, 0, 1, 10, 10])).toBeUndefined();
  });

  it("adds nothing at the end of the month, and never passes the largest amount", () => {
    const days = Array.from({ length: 30 }, (_, day) => 10 + day);
    const used = days.reduce((sum, amount) => sum + amount, 0);
    expect(daysOf(days)).toMatchObject({ atEnd: used, low: used, high: used });
    const most = Number.MAX_SAFE_INTEGER;
    expect(daysOf([most / 4, most / 8, most / 4])).toMatchObject({ atEnd: most, high: most });
  });
});
