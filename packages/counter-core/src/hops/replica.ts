import type { PeriodUsage, StorageDimension, StoredUsage, Tally } from "../model/usage.ts";

/** A tally that a store will never take, and why. */
export interface RejectedTally {
  readonly tally: Tally;
  readonly reason: Error;
}

export interface MergeOptions {
  /** Aborting it rejects the merge with the signal's reason; what was sent may still be stored. */
  readonly signal?: AbortSignal;
}

export interface HistoryQuery {
  /** Only this backend. */
  readonly backend?: string;
  /** The first period's key, included. */
  readonly from?: string;
  /** The last period's key, included. */
  readonly to?: string;
}

/** Which totals are asked for; absent: of all backends. */
export interface TotalsQuery {
  /** Only of these backends: what is not in the answer of them, the store does not have. */
  readonly backends?: readonly string[];
  /**
   * Only of backends that changed since the answer that gave this `cursor`, and perhaps of some more. A cursor is of one period,
   * and of one store as it was: after the store lost something, it may hide what came later.
   */
  readonly since?: string;
}

export interface StoredTotals<D extends string = StorageDimension> {
  /** Each backend's usage: of all writers, and of the one that was asked about, both from one read. */
  readonly usage: ReadonlyMap<string, StoredUsage<D>>;
  /** What to ask for next as `since`. Absent where the store cannot tell what changed: then all is read each time. */
  readonly cursor?: string;
}

/**
 * Durable tallies, one amount per period, backend, dimension and writer, merged by maximum.
 *
 * Every method rejects when the store cannot be reached, and may be called again: merging is idempotent, commutative and
 * associative, so retries, duplicates and reordering change nothing.
 */
export interface UsageStore<D extends string = StorageDimension> {
  /** What `totals` returns of each backend. A counter's dimensions must be among them: the others would read as zero. */
  readonly dimensions: readonly D[];
  /**
   * How often this object has found that what it had confirmed is gone (its file was deleted or replaced, say) and begun
   * anew. It looks in every `merge`, also one of nothing, before and after it writes; so what `merge` has confirmed is there
   * unless the number has grown since. Absent on stores that cannot tell by themselves.
   */
  losses?(): number;
  /**
   * Keeps the larger amount of each dimension of each tally, durably once it resolves. After a rejection any part of the
   * tallies may be stored; merging them again is right. Answers those that can never be stored (an amount or a name out of
   * range, say); they do not stop the others.
   */
  merge(tallies: readonly Tally[], options?: MergeOptions): Promise<readonly RejectedTally[]>;
  /** Usage in a period, by backend: of all writers, and of `writer` alone. */
  totals(period: string, writer: string, query?: TotalsQuery): Promise<StoredTotals<D>>;
  /** The rows of some backends in a period, of all writers; each backend's rows from one read. */
  tallies(period: string, backends: readonly string[]): Promise<readonly Tally[]>;
  /** Usage over all writers, by period and then by backend, in ascending order. */
  history(query: HistoryQuery): Promise<readonly PeriodUsage[]>;
  /** Deletes a backend's rows in every period. Final only once nobody counts that backend any more. */
  remove(backend: string): Promise<void>;
  /**
   * Makes the rows of every period whose key is less than `before` one row for each backend and dimension, and closes those
   * periods: whatever `merge` is sent of them from then on is rejected, with a `PeriodFoldedError`. Usage and history stay what
   * they were, exactly. For periods that nobody counts in any more.
   *
   * @param before - A period's key, as in `HistoryQuery`.
   * @returns How many rows there are less.
   * @throws RangeError for a key that may still be counted in: less than 40 days old, or no calendar date.
   */
  fold(before: string): Promise<number>;
}
