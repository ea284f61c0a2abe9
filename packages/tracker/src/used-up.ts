import type { Usage, UsageCounter } from "@usage/counter-core";

/**
 * Whether what was used of a backend leaves no room for as much more, whatever others give back: the reason of a decision would be
 * `limit`. For those who wait, of whom there may be thousands, each looking again and again.
 *
 * @throws UnknownBackendError.
 */
export function isUsedUp<D extends string>(
  counter: Pick<UsageCounter<D>, "dimensions" | "readTotal" | "readLimits">,
  backend: string,
  more: Partial<Usage<D>>,
): boolean {
  const { dimensions } = counter;
  const totals = new Float64Array(dimensions.length);
  const limits = new Float64Array(dimensions.length);
  counter.readTotal(backend, totals);
  counter.readLimits(backend, limits);
  return dimensions.some((dimension, place) => {
    const limit = Math.min(limits[place] as number, Number.MAX_SAFE_INTEGER);
    return (totals[place] as number) + (more[dimension] ?? 0) > limit;
  });
}
