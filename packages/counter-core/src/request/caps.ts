import type { Limits } from "../counter.ts";
import { AmountError } from "../model/errors.ts";
import { isAmount } from "../model/usage.ts";
import { isThenable } from "../util/is-thenable.ts";
import { isDictionary, valuesOf } from "./usage-reader.ts";

/** What the total of a cell may become where there is no limit: beyond it a number is not exact any more. */
export const UNLIMITED: number = Number.MAX_SAFE_INTEGER;

/** A limit with a credit on top. What is not limited stays so, and what is limited does, too: the sum goes no higher than 2^53-2. */
export function raisedBy(credit: number, limit: number): number {
  return limit === UNLIMITED ? UNLIMITED : Math.min(limit + credit, UNLIMITED - 1);
}

/**
 * Limits in dimension order, as the request path compares with them. A dimension that is absent or undefined is unlimited.
 *
 * @throws UnknownDimensionError for a limit of something that is not counted.
 * @throws AmountError for a limit that is not a non-negative safe integer.
 * @throws TypeError for limits that are not an object.
 */
export function capsOf<D extends string>(dimensions: readonly D[], backend: string, limits: Limits<D>): Float64Array {
  // A promise has no keys, and would open every limit.
  if (!isDictionary(limits) || isThenable(limits)) {
    throw new TypeError(`limits of backend ${JSON.stringify(backend)} must be an object with a limit per dimension`);
  }
  return Float64Array.from(valuesOf(dimensions, backend, limits), (limit, place) => {
    // fault: takes a limit of 0 for none
    if (limit === undefined) return UNLIMITED;
    const problem = "cannot be a limit: it must be from 0 to 2^53-1";
    if (!isAmount(limit)) throw new AmountError(backend, dimensions[place] as string, limit, problem);
    return limit;
  });
}
