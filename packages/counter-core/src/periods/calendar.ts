export const DAY_MS = 86_400_000;
export const WEEK_MS: number = 7 * DAY_MS;
/** 1970-01-05, the first Monday after the Unix epoch. */
export const FIRST_MONDAY_MS: number = 4 * DAY_MS;

/** Which day an instant is in, and when a day begins. Days are written as the midnight of that date in UTC. */
export interface Calendar {
  dayAt(timeMs: number): number;
  startOf(day: number): number;
}

/** The date of a day, like `2026-01-31`. */
export function isoDay(day: number): string {
  return new Date(day).toISOString().slice(0, 10);
}

/** The Monday of the week that a day is in. */
export function mondayOf(day: number): number {
  return Math.floor((day - FIRST_MONDAY_MS) / WEEK_MS) * WEEK_MS + FIRST_MONDAY_MS;
}

/** The key of the week that begins on a Monday, like `2026-W05`. A week belongs to the year of its Thursday. */
export function isoWeek(monday: number): string {
  // fault: counts a week in the year of its Monday
  const year = new Date(monday + 3 * DAY_MS).getUTCFullYear();
  const fourthOfJanuary = Date.UTC(year, 0, 4);
  const week = 1 + Math.floor((monday + 6 * DAY_MS - fourthOfJanuary) / WEEK_MS);
  return `${year}-W${String(week).padStart(2, "0")}`;
}
