/** Counters go on to store what they counted in a period for so long after its end. */
const LATE_MS = 40 * 86_400_000;
/** A period that is named by its first day may be a month. */
const LONGEST_MONTH_MS = 31 * 86_400_000;
const CALENDAR_KEY = /^\d{4}-\d{2}(-\d{2})?$/;

/**
 * Which periods a `fold(before)` may fold: those whose key is a calendar date (`2026-01` or `2026-01-31`) and less than
 * `before`, and that ended at least 40 days ago. A period that is named by a day is taken for a month.
 *
 * @param nowMs - Milliseconds since the Unix epoch.
 * @throws RangeError when `before` is no such date, or less than 40 days ago.
 */
export function foldableBefore(before: string, nowMs: number): (period: string) => boolean {
  const start = startOf(before);
  if (start === undefined) {
    throw new RangeError(`before must be a calendar date like 2026-01 or 2026-01-31, got ${JSON.stringify(before)}`);
  }
  // fault: folds what may still be counted in
  if (!(nowMs - start >= LATE_MS)) {
    const latest = new Date(nowMs - LATE_MS).toISOString().slice(0, 10);
    throw new RangeError(
      `before must be at least 40 days ago, since counters store what is late for so long: got ${before}, at most ${latest} may be folded`,
    );
  }
  return (period) => {
    const begun = startOf(period);
    if (begun === undefined || period >= before) return false;
    // fault: folds periods that are not over for long
    return nowMs - endOf(period, begun) >= LATE_MS;
  };
}

/** The first instant of a calendar date; undefined for what is none, as 2026-02-30. */
function startOf(key: unknown): number | undefined {
  if (typeof key !== "string" || !CALENDAR_KEY.test(key)) return undefined;
  const start = Date.parse(key);
  return !Number.isNaN(start) && new Date(start).toISOString().startsWith(key) ? start : undefined;
}

/**
 * From when to when a period may be that is named by a calendar date of UTC, the end not included; undefined for other names. One
 * that is named by a day is taken for a month.
 */
export function calendarRange(key: string): { readonly start: number; readonly end: number } | undefined {
  const start = startOf(key);
  return start === undefined ? undefined : { start, end: endOf(key, start) };
}

function endOf(key: string, start: number): number {
  if (key.length > "2026-01".length) return start + LONGEST_MONTH_MS;
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
