import { daysIn, isoWeeks, monthsIn, utcDays, utcMonths, utcMonthsFrom, weeksIn } from "@usage/counter-core";
import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { describe, expect, it } from "vitest";

const at = (date: string): number => Date.parse(date);

const ZONES = Intl.supportedValuesOf("timeZone");
const YEARS_1990_TO_2037 = { min: new Date(Date.UTC(1990, 0)), max: new Date(Date.UTC(2037, 11)), noInvalidDate: true };
const zone = fc.constantFrom(...ZONES);
const instant = fc.date(YEARS_1990_TO_2037).map((date) => date.getTime());

/** What the calendar library has for the first instant of a day. */
function startOfDay(day: Temporal.PlainDate, timeZone: string): number {
  return day.toZonedDateTime({ timeZone }).startOfDay().epochMilliseconds;
}

/** The day that an instant is in: one whose first hour is shown twice has begun when it is shown first. */
function dayOf(time: number, timeZone: string): Temporal.PlainDate {
  const shown = Temporal.Instant.fromEpochMilliseconds(time).toZonedDateTimeISO(timeZone).toPlainDate();
  const next = shown.add({ days: 1 });
  return time < startOfDay(next, timeZone) ? shown : next;
}

/** The first day of the month that begins on `anchorDay`, a number of months after this date's month. */
function firstDay(day: Temporal.PlainDate, anchorDay: number, months: number): Temporal.PlainDate {
  return day.with({ day: 1 }).add({ months }).with({ day: anchorDay }); // constrains it to the month's length
}

describe("periods in a time zone", () => {
  it.each([
    // Clocks go forward in March, and back in October: the month is an hour shorter or longer.
    ["Europe/Berlin", "2026-03-15T12:00:00Z", "2026-03", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"],
    ["Europe/Berlin", "2026-10-31T22:59:59Z", "2026-10", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"],
    // Half hours, and three quarters of one.
    ["Asia/Kolkata", "2026-01-31T18:30:00Z", "2026-02", "2026-01-31T18:30:00Z", "2026-02-28T18:30:00Z"],
    ["Asia/Kathmandu", "2026-01-31T18:14:59Z", "2026-01", "2025-12-31T18:15:00Z", "2026-01-31T18:15:00Z"],
    // A leap day, west of Greenwich.
    ["America/Los_Angeles", "2024-03-01T07:59:59Z", "2024-02", "2024-02-01T08:00:00Z", "2024-03-01T08:00:00Z"],
  ])("hold in %s what is counted at %s in the month %s", (timeZone, time, key, start, end) => {
    expect(monthsIn(timeZone).at(at(time))).toEqual({ key, start: at(start), end: at(end) });
  });

  it("have no day that the zone left out, and no gap there", () => {
    const days = daysIn("Pacific/Apia");
    const before = days.at(at("2011-12-30T09:59:59Z"));
    expect(before).toMatchObject({ key: "2011-12-29", end: at("2011-12-30T10:00:00Z") });
    expect(days.at(before.end)).toMatchObject({ key: "2011-12-31", start: before.end });
  });

  it("keep in a day the hour that clocks show a second time once the next day had begun", () => {
    // Clocks went from 00:01 back to 23:01.
    const days = daysIn("America/St_Johns");
    const next = days.at(at("2010-11-07T02:30:00Z"));
    expect(next).toMatchObject({ key: "2010-11-07", start: at("2010-11-07T02:30:00Z") });
    expect(days.at(at("2010-11-07T02:45:00Z"))).toEqual(next);
  });

  it("begin and end where a calendar library has it, whatever the zone, the day and the anchor", () => {
    fc.assert(
      fc.property(zone, instant, fc.integer({ min: 1, max: 31 }), (timeZone, time, anchorDay) => {
        const today = dayOf(time, timeZone);
        const months = Temporal.PlainDate.compare(today, firstDay(today, anchorDay, 0)) < 0 ? -1 : 0;
        const first = firstDay(today, anchorDay, months);
        expect(monthsIn(timeZone, anchorDay).at(time)).toEqual({
          key: anchorDay === 1 ? first.toString().slice(0, 7) : first.toString(),
          start: startOfDay(first, timeZone),
          end: startOfDay(firstDay(today, anchorDay, months + 1), timeZone),
        });
        const day = daysIn(timeZone).at(time);
        expect(day.start).toBe(startOfDay(today, timeZone));
        expect(day.end).toBeGreaterThan(time);
      }),
      { numRuns: 2_000 },
    );
  });

  it("are weeks from Monday on where a calendar library has that", () => {
    fc.assert(
      fc.property(zone, instant, (timeZone, time) => {
        const today = dayOf(time, timeZone);
        const monday = today.subtract({ days: today.dayOfWeek - 1 });
        expect(weeksIn(timeZone).at(time)).toEqual({
          key: `${today.yearOfWeek}-W${String(today.weekOfYear).padStart(2, "0")}`,
          start: startOfDay(monday, timeZone),
          end: startOfDay(monday.add({ days: 7 }), timeZone),
        });
      }),
      { numRuns: 200 },
    );
  });

  it("hold every instant in one period, without gaps, with keys in order", () => {
    const scheme = fc
      .tuple(zone, fc.integer({ min: 1, max: 31 }), fc.constantFrom("days", "weeks", "months"))
      .map(([timeZone, anchorDay, kind]) => {
        if (kind === "months") return monthsIn(timeZone, anchorDay);
        return kind === "days" ? daysIn(timeZone) : weeksIn(timeZone);
      });
    fc.assert(
      fc.property(scheme, instant, (periods, time) => {
        const { key, start, end } = periods.at(time);
        expect(start <= time && time < end).toBe(true);
        expect(periods.at(start)).toEqual({ key, start, end });
        expect(periods.at(end - 1)).toEqual({ key, start, end });
        const next = periods.at(end);
        expect(next.start).toBe(end);
        expect(next.key > key).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("are those of UTC in UTC", () => {
    fc.assert(
      fc.property(instant, fc.integer({ min: 2, max: 31 }), (time, anchorDay) => {
        expect(daysIn("UTC").at(time)).toEqual(utcDays.at(time));
        expect(weeksIn("UTC").at(time)).toEqual(isoWeeks.at(time));
        expect(monthsIn("UTC").at(time)).toEqual(utcMonths.at(time));
        expect(monthsIn("UTC", anchorDay).at(time)).toEqual(utcMonthsFrom(anchorDay).at(time));
      }),
    );
  });

  it.each(["Europe/Atlantis", "", 5, undefined])("refuse the time zone %s", (name) => {
    expect(() => monthsIn(name as string)).toThrow(/timeZone must be an IANA time zone/);
    expect(() => weeksIn(name as string)).toThrow(/timeZone must be an IANA time zone/);
    expect(() => daysIn(name as string)).toThrow(/timeZone must be an IANA time zone/);
  });

  it.each([0, 32, 1.5])("refuse the anchor day %s", (day) => {
    expect(() => monthsIn("UTC", day)).toThrow(/anchorDay.*from 1 to 31/);
  });
});
