/** Parts of limits, in any order: of all backends, or a function that returns those of one; undefined and none: it has none. */
export type Thresholds = readonly number[] | ((backend: string, window?: string) => readonly number[] | undefined);

const MAX_THRESHOLD = 10;
const MAX_COUNT = 100;

/**
 * The thresholds of a backend in ascending order.
 *
 * @throws TypeError for what is neither a list nor a function; RangeError for a list of none, of what is no part of a limit, and of
 * the same twice. So does what it returns, of what the user's function returned.
 */
export function checkedThresholds(thresholds: Thresholds): (backend: string, window?: string) => readonly number[] {
  if (typeof thresholds !== "function") {
    const sorted = ascending(thresholds);
    if (sorted.length === 0)
      throw new RangeError("thresholds must name at least one part of a limit, 0.8 say, got none");
    return () => sorted;
  }
  return (backend, window) => {
    const returned = thresholds(backend, window);
    return returned === undefined ? [] : ascending(returned);
  };
}

function ascending(thresholds: readonly number[]): readonly number[] {
  if (!Array.isArray(thresholds)) {
    throw new TypeError(
      `thresholds must be a list of parts of a limit, [0.5, 0.8, 1] say, or a function that returns one, got ${String(thresholds)}`,
    );
  }
  for (const threshold of thresholds as readonly unknown[]) {
    if (!(typeof threshold === "number" && threshold > 0 && threshold <= MAX_THRESHOLD)) {
      throw new RangeError(
        `thresholds must be parts of a limit above 0, up to ${MAX_THRESHOLD}, 0.8 for 80 % of it, got ${String(threshold)}`,
      );
    }
  }
  if (thresholds.length > MAX_COUNT)
    throw new RangeError(`thresholds must be ${MAX_COUNT} at most, got ${thresholds.length}`);
  if (new Set(thresholds).size < thresholds.length) {
    throw new RangeError(`thresholds must differ, got ${thresholds.join(", ")}`);
  }
  return [...thresholds].sort((a, b) => a - b);
}
