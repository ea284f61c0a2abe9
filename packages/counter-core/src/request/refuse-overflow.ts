import { AmountError } from "../model/errors.ts";

/** @throws AmountError where amounts would take a total past 2^53-1. Both are in dimension order. */
export function refuseOverflow(
  dimensions: readonly string[],
  backend: string,
  totals: Float64Array,
  amounts: Float64Array,
): void {
  for (const [place, dimension] of dimensions.entries()) {
    const amount = amounts[place] as number;
    if ((totals[place] as number) + amount > Number.MAX_SAFE_INTEGER) throw overflow(backend, dimension, amount);
  }
}

/** The error for an amount that would take a total past 2^53-1. */
export function overflow(backend: string, dimension: string, amount: unknown): AmountError {
  return new AmountError(backend, dimension, amount, "would take the total past 2^53-1");
}
