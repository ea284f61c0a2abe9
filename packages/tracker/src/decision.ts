import type { Limits, Period, Usage, UsageCounter } from "@usage/counter-core";

/** When to ask again where what is held may be free by then, in milliseconds. */
const HELD_RETRY_MS = 1_000;

/** Whether a backend may take a request, and why. */
export interface Decision<D extends string> {
  readonly backend: string;
  readonly allowed: boolean;
  /**
   * What a limit means. `exact`: it is not passed, but by what is settled above its hold; with a counter that shares nothing, by this
   * process alone. `approximate`: instances may pass it, by what they use before they have heard of each other.
   */
  readonly mode: "exact" | "approximate";
  /**
   * By how much the limited dimensions may be passed at most, by what is admitted. `exact`: 0, and what this process settled above its
   * holds, and what was written off. Absent when `approximate`: nobody knows. What is recorded without asking is in `usage` only.
   */
  readonly maxOvershoot?: Limits<D>;
  /**
   * In milliseconds since the Unix epoch. `approximate`: when others were last heard of; absent before that. `exact`: until when this
   * process can admit without hearing of others again; absent where there are none, and where it cannot admit now.
   */
  readonly asOf?: number;
  /** The dimensions in which usage, what is held, and proposal together would exceed the limit; empty when allowed. */
  readonly exceeded: readonly D[];
  /**
   * Why it refuses. `limit`: what was used leaves no room, until the period ends. `held`: what other work may still use leaves none
   * for now. `unready`, `offline`: in exact mode, others cannot be asked for it yet, or now. Absent when allowed.
   */
  readonly reason?: "limit" | "held" | "unready" | "offline";
  /**
   * When asking again may help, in milliseconds. Absent when allowed, and where the limit of an exceeded dimension is 0, but for what was
   * granted.
   */
  readonly retryAfterMs?: number;
  /** What is left before the proposal, of the limited dimensions only; never below zero. */
  readonly remaining: Limits<D>;
  /** The total of the current period, without the proposal. */
  readonly usage: Usage<D>;
  /** What work that is going on keeps free. */
  readonly held: Usage<D>;
  /** The limited dimensions only, with what was granted for this period; 0 means that nothing may be used. */
  readonly limits: Limits<D>;
  /** What of the limits was granted for this period alone: the next one begins without it. Absent: nothing. */
  readonly granted?: Limits<D>;
  readonly period: Period;
}

/** What stands between a backend and a request, as far as this process knows. */
export function decide<D extends string>(
  counter: UsageCounter<D>,
  backend: string,
  proposed: Partial<Usage<D>>,
  nowMs: number,
): Decision<D> {
  const allowed = counter.fits(backend, proposed); // throws for a proposal that is none
  const { mode, problem, asOf, forgiven } = counter.standing(backend);
  const usage = counter.totalAll(backend);
  const held = counter.heldAll(backend);
  const limits = counter.limitsOf(backend);
  const excess = counter.excessAll(backend);
  const period = counter.period();
  const limited = counter.dimensions.filter((dimension) => limits[dimension] !== undefined);
  const limitOf = (dimension: D): number => limits[dimension] ?? Number.MAX_SAFE_INTEGER;
  const leaves = (dimension: D, taken: number): boolean => taken + (proposed[dimension] ?? 0) <= limitOf(dimension);
  const exceeded = counter.dimensions.filter((dimension) => !leaves(dimension, usage[dimension] + held[dimension]));
  const isUsedUp = exceeded.some((dimension) => !leaves(dimension, usage[dimension]));
  const credit = counter.creditAll(backend);
  const granted = limited
    .filter((dimension) => credit[dimension] > 0)
    .map((dimension) => [dimension, credit[dimension]]);
  // fault: tells who waits for the next period that it has what was granted for this one
  const isClosed = exceeded.some((dimension) => limitOf(dimension) <= credit[dimension]);
  const remaining = limited.map((dimension) => {
    return [dimension, Math.max(0, limitOf(dimension) - usage[dimension] - held[dimension])];
  });
  // fault: says that no limit is passed by what was settled above its hold
  const overshoot = limited.map((dimension) => [dimension, excess[dimension] + (forgiven?.[dimension] ?? 0)]);
  return {
    backend,
    allowed,
    mode,
    ...(mode === "exact" && { maxOvershoot: Object.fromEntries(overshoot) as Limits<D> }),
    ...(asOf !== undefined && { asOf }),
    exceeded,
    ...(!allowed && { reason: isUsedUp ? "limit" : (problem ?? "held") }),
    ...(!allowed && !isClosed && { retryAfterMs: isUsedUp ? Math.max(0, period.end - nowMs) : HELD_RETRY_MS }),
    remaining: Object.fromEntries(remaining) as Limits<D>,
    usage,
    held,
    limits,
    ...(granted.length > 0 && { granted: Object.fromEntries(granted) as Limits<D> }),
    period,
  };
}
