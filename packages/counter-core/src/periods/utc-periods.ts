import type { PeriodScheme } from "../model/period.ts";
import { DAY_MS, FIRST_MONDAY_MS, isoDay, isoWeek, WEEK_MS } from "./calendar.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Minutes in UTC, with keys like `2026-01-31T13:05`. */
export const utcMinutes: PeriodScheme = evenly(MINUTE_MS, (start) => isoTime(start).slice(0, 16));

/** Hours in UTC, with keys like `2026-01-31T13`. */
export const utcHours: PeriodScheme = evenly(HOUR_MS, (start) => isoTime(start).slice(0, 13));

/** Days in UTC, with keys like `2026-01-31`. */
export const utcDays: PeriodScheme = evenly(DAY_MS, isoDay);

/** Weeks in UTC as ISO 8601 counts them: from Monday on, with keys like `2026-W05`. */
export const isoWeeks: PeriodScheme = evenly(WEEK_MS, isoWeek, FIRST_MONDAY_MS);

/** Calendar months in UTC, with keys like `2026-01`. */
export const utcMonths: PeriodScheme = {
  at(timeMs) {
    const date = new Date(timeMs);
    const start = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
    return { key: isoDay(start).slice(0, 7), start, end: Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1) };
  },
};

/** The key of the UTC calendar month that holds `timeMs`, `YYYY-MM`. */
export function currentPeriod(timeMs: number = Date.now()): string {
  return utcMonths.at(timeMs).key;
}

function evenly(lengthMs: number, keyOf: (start: number) => string, originMs = 0): PeriodScheme {
  return {
    at(timeMs) {
      const start = Math.floor((timeMs - originMs) / lengthMs) * lengthMs + originMs;
      return { key: keyOf(start), start, end: start + lengthMs };
    },
  };
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
