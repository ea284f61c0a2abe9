import { currentPeriod, isoWeeks, utcDays, utcHours, utcMinutes, utcMonths, utcMonthsFrom } from "@usage/counter-core";
import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { describe, expect, it } from "vitest";

const at = (date: string): number => Date.parse(date);
const YEARS_1970_TO_2200 = { min: new Date(0), max: new Date(Date.UTC(2200, 0)), noInvalidDate: true };

describe("periods in UTC", () => {
  it("divide UTC into calendar months", () => {
    expect(utcMonths.at(at("2026-01-31T23:59:59.999Z")).key).toBe("2026-01");
    expect(utcMonths.at(at("2026-02-01T00:00:00Z"))).toEqual({
      key: "2026-02",
      start: at("2026-02-01T00:00:00Z"),
      end: at("2026-03-01T00:00:00Z"),
    });
    expect(utcMonths.at(at("2026-12-31T12:00:00Z")).end).toBe(at("2027-01-01T00:00:00Z"));
    expect(currentPeriod(at("2024-02-29T00:00:00Z"))).toBe("2024-02");
  });

  it("divide UTC into days", () => {
    expect(utcDays.at(at("2024-02-29T23:59:59Z"))).toEqual({
      key: "2024-02-29",
      start: at("2024-02-29T00:00:00Z"),
      end: at("2024-03-01T00:00:00Z"),
    });
  });

  it("divide UTC into hours and minutes", () => {
    expect(utcHours.at(at("2026-02-28T23:59:59.999Z"))).toEqual({
      key: "2026-02-28T23",
      start: at("2026-02-28T23:00:00Z"),
      end: at("2026-03-01T00:00:00Z"),
    });
    expect(utcMinutes.at(at("2026-12-31T23:59:30Z"))).toEqual({
      key: "2026-12-31T23:59",
      start: at("2026-12-31T23:59:00Z"),
      end: at("2027-01-01T00:00:00Z"),
    });
  });

  it.each([
    ["2026-01-01", "2026-W01"],
    ["2027-01-03", "2026-W53"],
    ["2027-01-04", "2027-W01"],
    ["2024-12-30", "2025-W01"],
    ["2021-01-03", "2020-W53"],
  ])("count %s to the ISO week %s", (day, key) => {
    expect(isoWeeks.at(at(`${day}T12:00:00Z`)).key).toBe(key);
  });

  it("count weeks as a calendar library does", () => {
    fc.assert(
      fc.property(fc.date(YEARS_1970_TO_2200), (date) => {
        const day = Temporal.Instant.fromEpochMilliseconds(date.getTime()).toZonedDateTimeISO("UTC").toPlainDate();
        const { key, start, end } = isoWeeks.at(date.getTime());
        expect(key).toBe(`${day.yearOfWeek}-W${String(day.weekOfYear).padStart(2, "0")}`);
        expect(new Date(start).getUTCDay()).toBe(1);
        expect(end - start).toBe(7 * 86_400_000);
      }),
    );
  });

  it("let a month that begins on the 31st begin on the last day of a shorter month", () => {
    const months = utcMonthsFrom(31);
    expect(months.at(at("2026-01-31T00:00:00Z"))).toMatchObject({ key: "2026-01-31", end: at("2026-02-28T00:00:00Z") });
    expect(months.at(at("2026-02-28T00:00:00Z"))).toMatchObject({ key: "2026-02-28", end: at("2026-03-31T00:00:00Z") });
    expect(months.at(at("2024-02-29T00:00:00Z")).key).toBe("2024-02-29");
    expect(months.at(at("2026-04-29T00:00:00Z")).key).toBe("2026-03-31");
    expect(months.at(at("2026-01-15T00:00:00Z")).key).toBe("2025-12-31");
  });

  it.each([0, 32, 1.5, Number.NaN, "5"])("refuse the anchor day %s", (day) => {
    expect(() => utcMonthsFrom(day as number)).toThrow(/anchorDay.*from 1 to 31/);
  });

  it("hold every instant in one period, without gaps, with keys in order", () => {
    const scheme = fc.oneof(
      fc.constant(utcMonths),
      fc.constantFrom(utcMinutes, utcHours, utcDays, isoWeeks),
      fc.integer({ min: 1, max: 31 }).map((day) => utcMonthsFrom(day)),
    );
    fc.assert(
      fc.property(scheme, fc.date(YEARS_1970_TO_2200), (periods, date) => {
        const { key, start, end } = periods.at(date.getTime());
        expect(start).toBeLessThanOrEqual(date.getTime());
        expect(end).toBeGreaterThan(date.getTime());
        expect(periods.at(start)).toEqual({ key, start, end });
        expect(periods.at(end - 1)).toEqual({ key, start, end });
        const next = periods.at(end);
        expect(next.start).toBe(end);
        expect(next.key > key).toBe(true);
      }),
    );
  });
});
