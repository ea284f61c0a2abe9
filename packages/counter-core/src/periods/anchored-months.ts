import type { PeriodScheme } from "../model/period.ts";
import { type Calendar, DAY_MS, isoDay } from "./calendar.ts";

/**
 * Months in UTC that begin on `anchorDay` (1 to 31), or on the last day of a month that is shorter; as billing periods do.
 * Keys are the first day, like `2026-01-31`. Days have keys of the same form: do not keep both schemes in one store.
 *
 * @throws RangeError when `anchorDay` is not a whole number from 1 to 31.
 */
export function utcMonthsFrom(anchorDay: number): PeriodScheme {
  assertAnchorDay(anchorDay);
  return monthsFrom(anchorDay, { dayAt: (timeMs) => Math.floor(timeMs / DAY_MS) * DAY_MS, startOf: (day) => day });
}

/** Months of a calendar that begin on a day. */
export function monthsFrom(anchorDay: number, calendar: Calendar): PeriodScheme {
  const firstDay = (year: number, month: number): number => {
    const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
    // fault: begins no month on a day that it has not
    return Date.UTC(year, month, Math.min(anchorDay, lastDay));
  };
  return {
    at(timeMs) {
      const today = calendar.dayAt(timeMs);
      const date = new Date(today);
      const year = date.getUTCFullYear();
      let month = date.getUTCMonth();
      if (today < firstDay(year, month)) month -= 1;
      const first = firstDay(year, month);
      return { key: isoDay(first), start: calendar.startOf(first), end: calendar.startOf(firstDay(year, month + 1)) };
    },
  };
}

/** @throws RangeError when it is not a whole number from 1 to 31. */
export function assertAnchorDay(anchorDay: number): void {
  if (!Number.isInteger(anchorDay) || anchorDay < 1 || anchorDay > 31) {
    throw new RangeError(`anchorDay must be a whole number from 1 to 31, got ${String(anchorDay)}`);
  }
}
