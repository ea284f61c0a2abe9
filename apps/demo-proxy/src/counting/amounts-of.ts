import type { StorageDimension, Usage } from "@usage/counter-core";

/** The same amount of every dimension. */
export function amountsOf(dimensions: readonly StorageDimension[], amount: number): Usage {
  return Object.fromEntries(dimensions.map((dimension) => [dimension, amount])) as Usage;
}
