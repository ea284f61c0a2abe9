import type { Limits } from "../counter.ts";
import { AmountError, UnknownDimensionError } from "../model/errors.ts";
import { isAmount } from "../model/usage.ts";
import { isDictionary } from "./usage-reader.ts";

/** What the total of a cell may become where there is no limit: beyond it a number is not exact any more. */
export const UNLIMITED: number = Number.MAX_SAFE_INTEGER;

/**
 * Limits in dimension order, as the request path compares with them. A dimension that is absent or undefined is unlimited.
 *
 * @throws UnknownDimensionError for a limit of something that is not counted.
 * @throws AmountError for a limit that is not a non-negative safe integer.
 * @throws TypeError for limits that are not an object.
 */
export function capsOf<D extends string>(dimensions: readonly D[], backend: string, limits: Limits<D>): Float64Array {
  if (!isDictionary(limits)) {
    throw new TypeError(`limits of backend ${JSON.stringify(backend)} must be an object with a limit per dimension`);
  }
  for (const name in limits) {
    if (!dimensions.includes(name as D)) throw new UnknownDimensionError(backend, name, dimensions);
  }
  return Float64Array.from(dimensions, (dimension) => {
    const inherited = dimension in Object.prototype && !Object.hasOwn(limits, dimension);
    const limit = inherited ? undefined : limits[dimension];
    if (limit === undefined) return UNLIMITED;
    if (!isAmount(limit))
      throw new AmountError(backend, dimension, limit, "cannot be a limit: it must be from 0 to 2^53-1");
    return limit;
  });
}
