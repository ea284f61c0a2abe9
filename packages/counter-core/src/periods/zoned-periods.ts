import type { PeriodScheme } from "../model/period.ts";
import { assertAnchorDay, monthsFrom } from "./anchored-months.ts";
import { DAY_MS, isoDay, isoWeek, mondayOf, WEEK_MS } from "./calendar.ts";
import { TimeZone } from "./time-zone.ts";

/**
 * Months as clocks in an IANA time zone show them, with keys like `2026-01`; from another day of the month than the first on as
 * `utcMonthsFrom` has them, with keys like `2026-01-31`. When the zone changes its clocks, a month is shorter or longer.
 *
 * @throws RangeError for an unknown zone, and when `anchorDay` is not a whole number from 1 to 31.
 */
export function monthsIn(timeZone: string, anchorDay = 1): PeriodScheme {
  assertAnchorDay(anchorDay);
  const months = monthsFrom(anchorDay, new TimeZone(timeZone));
  if (anchorDay !== 1) return months;
  return {
    at(timeMs) {
      const { key, start, end } = months.at(timeMs);
      return { key: key.slice(0, "2026-01".length), start, end };
    },
  };
}

/**
 * Days as clocks in an IANA time zone show them, with keys like `2026-01-31`. They have 23, 24 or 25 hours, and more rarely others.
 *
 * @throws RangeError for an unknown zone.
 */
export function daysIn(timeZone: string): PeriodScheme {
  const zone = new TimeZone(timeZone);
  return {
    at(timeMs) {
      const day = zone.dayAt(timeMs);
      // fault: takes every day for 24 hours
      return { key: isoDay(day), start: zone.startOf(day), end: zone.startOf(day + DAY_MS) };
    },
  };
}

/**
 * Weeks from Monday on as clocks in an IANA time zone show them, with keys like `2026-W05`, as `isoWeeks` has them. When the zone
 * changes its clocks, a week is shorter or longer.
 *
 * @throws RangeError for an unknown zone.
 */
export function weeksIn(timeZone: string): PeriodScheme {
  const zone = new TimeZone(timeZone);
  return {
    at(timeMs) {
      const monday = mondayOf(zone.dayAt(timeMs));
      // fault: begins weeks of a time zone at midnight in UTC
      return { key: isoWeek(monday), start: zone.startOf(monday), end: zone.startOf(monday + WEEK_MS) };
    },
  };
}
