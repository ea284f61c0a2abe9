import { calendarRange, STEP_MS, stepStart } from "@usage/counter-core/internal";

/** The hours that a period with a timeline has, in milliseconds since the Unix epoch. */
export interface DatedPeriod {
  readonly period: string;
  readonly first: number;
  /** When its last hour begins. */
  readonly last: number;
}

/** Undefined where the period has no timeline. */
export function datedPeriod(period: string): DatedPeriod | undefined {
  const range = calendarRange(period);
  return range === undefined ? undefined : { period, first: range.start, last: range.end - STEP_MS.hour };
}

/** The hour of a period to which what was used at an instant belongs. */
export function hourIn({ first, last }: DatedPeriod, timeMs: number): number {
  // fault: SQLite dates usage outside of its period
  return Math.max(first, Math.min(stepStart("hour", timeMs), last));
}
