import type { Limits, Period, Usage, UsageCounter } from "@usage/counter-core";

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
  /** The limited dimensions only; 0 means that nothing may be used. */
  readonly limits: Limits<D>;
  readonly period: Period;
}

/** What stands between a backend and a request, as far as this process knows. */
export function decide<D extends string>(
  counter: UsageCounter<D>,
  backend: string,
  proposed: Partial<Usage<D>>,
): Decision<D> {
  const allowed = counter.fits(backend, proposed); // throws for a proposal that is none
  const usage = counter.totalAll(backend);
  const limits = counter.limitsOf(backend);
  const limited = counter.dimensions.filter((dimension) => limits[dimension] !== undefined);
  const remaining = limited.map((dimension) => [dimension, Math.max(0, (limits[dimension] ?? 0) - usage[dimension])]);
  return {
    backend,
    allowed,
    exceeded: limited.filter((name) => usage[name] + (proposed[name] ?? 0) > (limits[name] ?? 0)),
    remaining: Object.fromEntries(remaining) as Limits<D>,
    usage,
    limits,
    period: counter.period(),
  };
}
