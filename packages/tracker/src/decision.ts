import type { Period, Usage } from "@usage/counter-core";
import type { Limits } from "./limits.ts";

/** Whether a backend may take a request, and why. */
export interface Decision<D extends string> {
  readonly backend: string;
  readonly allowed: boolean;
  /** The dimensions in which usage and proposal together would exceed the limit; empty when allowed. */
  readonly exceeded: readonly D[];
  /** What is left before the proposal, of the limited dimensions only; never below zero. */
  readonly remaining: Limits<D>;
  /** The total of the current period, without the proposal. */
  readonly usage: Usage<D>;
  /** The limited dimensions only. */
  readonly limits: Limits<D>;
  readonly period: Period;
}

/** Whether `totals + proposed <= limits` in the first `size` dimensions; unlimited ones have an infinite limit. */
export function fits(totals: Float64Array, proposed: Float64Array, limits: Float64Array, size: number): boolean {
  for (let i = 0; i < size; i++) {
    if ((totals[i] as number) + (proposed[i] as number) > (limits[i] as number)) return false;
  }
  return true;
}
