import type { Period } from "../model/period.ts";
import type { StorageDimension, Usage } from "../model/usage.ts";

/**
 * Usage that is kept free for work that is going on. It ends once, by `settle` or `void`; ending it again changes nothing. Disposing
 * of it is `void`. One that nobody ends expires, and what it kept is free again.
 *
 * @example
 * ```ts
 * using hold = counter.hold("acme", { inputTokens: 800, outputTokens: 2_000 });
 * if (hold === undefined) return refuse();
 * const answer = await ask();
 * hold.settle({ inputTokens: 812, outputTokens: answer.tokens });
 * ```
 */
export interface Hold<D extends string = StorageDimension> extends Disposable {
  readonly backend: string;
  /** All that it counts is counted here, whenever it ends. */
  readonly period: Period;
  /** What it keeps free; zero once it has ended. */
  readonly usage: Usage<D>;
  readonly state: "open" | "settled" | "voided" | "expired";
  /**
   * Keeps more free, all of it or, returning false, nothing. False for one that has ended.
   *
   * @throws UnknownDimensionError, AmountError.
   */
  extend(more: Partial<Usage<D>>): boolean;
  /**
   * Whether `extend` would keep so much more free. For holds of several counters that are one: nothing changes, also where it is false.
   *
   * @throws UnknownDimensionError, AmountError.
   */
  canExtend(more: Partial<Usage<D>>): boolean;
  /**
   * Keeps less free, none where it keeps no more than that: for work that turns out smaller or slower than announced.
   *
   * @throws UnknownDimensionError, AmountError.
   */
  shrink(less: Partial<Usage<D>>): void;
  /**
   * Counts a part of what the work used, and keeps as much less free: for work whose cost comes bit by bit. What is counted beyond
   * what it keeps passes the limit by as much.
   *
   * @throws UnknownDimensionError, AmountError.
   */
  count(part: Partial<Usage<D>>): void;
  /**
   * Throws what `count` and `settle` would throw, and changes nothing. For holds of several counters that are one.
   *
   * @throws UnknownDimensionError, AmountError; UnknownBackendError as `settle` does.
   */
  assertCountable(part: Partial<Usage<D>>): void;
  /**
   * Ends it, and counts what the work used; absent: what it keeps free. More than that passes the limit by as much, and so does
   * whatever is settled after it expired: work that was done is always counted.
   *
   * @throws UnknownDimensionError, AmountError; UnknownBackendError where it expired and its backend is not held any more: `ensure`
   * it and settle again. The hold is as it was then.
   */
  settle(actual?: Partial<Usage<D>>): void;
  /** Ends it, and counts nothing. */
  void(): void;
}
