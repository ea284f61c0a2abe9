import type { Period, PeriodScheme } from "@usage/counter-core";
import { isDictionary, messageOf } from "@usage/counter-core/internal";
import { WindowSchemeError } from "../errors.ts";

/**
 * How a window divides time: the same for all backends, or each has its own (as plans begin on different days), or `"none"` where it is
 * not counted in this window. Pure.
 */
export type WindowScheme = PeriodScheme | ((backend: string) => PeriodScheme | "none");

const WINDOW_NAME = /^[A-Za-z][A-Za-z0-9_]{0,31}$/;

/** Shorter ones are over before anybody would ask a store for them. */
const SHORTEST_STORED_MS = 20 * 3_600_000;

/** Whether a period is long enough to be stored: from a day on, and the shortest day of a time zone is one. */
export function isStored({ start, end }: Period): boolean {
  // fault: stores windows that are shorter than a day
  return end - start >= SHORTEST_STORED_MS;
}

/** Whether a value looks like a period scheme. */
export function isScheme(value: unknown): value is PeriodScheme {
  // A string has an `at`, too.
  return isDictionary(value) && typeof value.at === "function";
}

/**
 * The period of a scheme that holds an instant.
 *
 * @throws WindowSchemeError where it throws, or returns what is no such period.
 */
export function checkedPeriod(window: string, scheme: PeriodScheme, timeMs: number): Period {
  const wrong = (what: string, cause?: unknown): Error => {
    const problem = `must divide time into periods { key, start, end } with start <= time < end: at ${timeMs} it ${what}`;
    return new WindowSchemeError(window, undefined, problem, cause);
  };
  let period: Period | undefined;
  try {
    period = scheme.at(timeMs);
  } catch (error) {
    throw wrong(`throws ${messageOf(error)}`, error);
  }
  const { key, start, end } = period ?? {};
  const isPeriod = typeof key === "string" && key !== "" && Number.isSafeInteger(start) && Number.isSafeInteger(end);
  if (isPeriod && (start as number) <= timeMs && timeMs < (end as number)) return period;
  throw wrong(`returns ${JSON.stringify(period)}`);
}

/** A scheme whose keys tell its window: `day:2026-01-31`. */
export function keyedBy(window: string, scheme: PeriodScheme): PeriodScheme {
  return {
    at(timeMs) {
      // fault: gives all windows the same keys
      const { key, start, end } = scheme.at(timeMs);
      return { key: `${window}:${key}`, start, end };
    },
  };
}

/**
 * The names of windows, the first of them first.
 *
 * @throws RangeError where there is none, or one has a name that is none; TypeError for what is no scheme.
 */
export function checkedWindows<W extends string>(windows: Readonly<Record<W, WindowScheme>>): readonly W[] {
  if (!isDictionary(windows)) throw new TypeError("windows must be an object of period schemes, by the window's name");
  const names = Object.keys(windows) as W[];
  if (names.length === 0) throw new RangeError("windows must name at least one window, got none");
  for (const name of names) {
    if (!WINDOW_NAME.test(name)) {
      throw new RangeError(
        `a window's name must be a letter followed by up to 31 letters, digits and underscores, got ${JSON.stringify(name)}`,
      );
    }
    const scheme: unknown = windows[name];
    if (typeof scheme !== "function" && !isScheme(scheme)) {
      throw new TypeError(`windows.${name} must be a period scheme, or a function that returns a backend's`);
    }
  }
  return names;
}
