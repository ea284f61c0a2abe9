/** A span of time over which usage is added up and limits apply. A count belongs to the period in which it was recorded. */
export interface Period {
  /** Names the period in stores; keys of later periods sort after those of earlier ones. */
  readonly key: string;
  /** First instant of the period, in milliseconds since the Unix epoch. */
  readonly start: number;
  /** First instant after the period, in milliseconds since the Unix epoch. */
  readonly end: number;
}

/** Divides time into adjacent periods without gaps. */
export interface PeriodScheme {
  /** The period that holds `timeMs` (milliseconds since the Unix epoch): `start <= timeMs < end`. Pure. */
  at(timeMs: number): Period;
}

/** Calendar months in UTC, with keys like `2026-01`. */
export const utcMonths: PeriodScheme = {
  at(timeMs) {
    const date = new Date(timeMs);
    const start = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
    return { key: isoDay(start).slice(0, 7), start, end: Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1) };
  },
};

const DAY_MS = 86_400_000;

/** Days in UTC, with keys like `2026-01-31`. */
export const utcDays: PeriodScheme = {
  at(timeMs) {
    const start = Math.floor(timeMs / DAY_MS) * DAY_MS;
    return { key: isoDay(start), start, end: start + DAY_MS };
  },
};

/**
 * Months in UTC that begin on `anchorDay` (1 to 31), or on the last day of a month that is shorter; as billing periods do.
 * Keys are the first day, like `2026-01-31`. Days have keys of the same form: do not keep both schemes in one store.
 *
 * @throws RangeError when `anchorDay` is not a whole number from 1 to 31.
 */
export function utcMonthsFrom(anchorDay: number): PeriodScheme {
  if (!Number.isInteger(anchorDay) || anchorDay < 1 || anchorDay > 31) {
    throw new RangeError(`anchorDay must be a whole number from 1 to 31, got ${String(anchorDay)}`);
  }
  const startIn = (year: number, month: number): number => {
    const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
    return Date.UTC(year, month, Math.min(anchorDay, lastDay));
  };
  return {
    at(timeMs) {
      const date = new Date(timeMs);
      const year = date.getUTCFullYear();
      let month = date.getUTCMonth();
      if (timeMs < startIn(year, month)) month -= 1;
      const start = startIn(year, month);
      return { key: isoDay(start), start, end: startIn(year, month + 1) };
    },
  };
}

/** The key of the UTC calendar month that holds `timeMs`, `YYYY-MM`. */
export function currentPeriod(timeMs: number = Date.now()): string {
  return utcMonths.at(timeMs).key;
}

function isoDay(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}
