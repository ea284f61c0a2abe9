import type { PeriodScheme } from "../model/period.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
/** 1970-01-05, the first Monday after the Unix epoch. */
const FIRST_MONDAY_MS = 4 * DAY_MS;

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

function isoDay(timeMs: number): string {
  return isoTime(timeMs).slice(0, 10);
}

/** The Monday of the week that a day is in; days are written as the midnight of that date in UTC. */
export function mondayOf(day: number): number {
  return Math.floor((day - FIRST_MONDAY_MS) / WEEK_MS) * WEEK_MS + FIRST_MONDAY_MS;
}

/** The key of the week that begins on a Monday. A week belongs to the year of its Thursday. */
export function isoWeek(mondayMs: number): string {
  // fault: counts a week in the year of its Monday
  const year = new Date(mondayMs + 3 * DAY_MS).getUTCFullYear();
  const fourthOfJanuary = Date.UTC(year, 0, 4);
  const week = 1 + Math.floor((mondayMs + 6 * DAY_MS - fourthOfJanuary) / WEEK_MS);
  return `${year}-W${String(week).padStart(2, "0")}`;
}
