import type { Period } from "./period.ts";
import type { StorageDimension, StoredUsage, Tally, Usage } from "./usage.ts";

export type Awaitable<T> = T | Promise<T>;

/**
 * What a request needs to record its usage: synchronous, without I/O, safe to call for every request.
 *
 * Every method that takes a backend throws `UnknownBackendError` for a name that the counter does not have; every method
 * that takes a dimension or an amount throws `UnknownDimensionError` or `AmountError`. A call that throws changed nothing.
 */
export interface UsageRecorder<D extends string = StorageDimension> {
  readonly dimensions: readonly D[];
  /** Adds `amount` in one dimension to the current period. Atomic. */
  add(backend: string, dimension: D, amount: number): void;
  /** Adds in several dimensions to the current period, all or none of them. A dimension that is absent or undefined is zero. */
  addAll(backend: string, usage: Partial<Usage<D>>): void;
  /** The totals of the current period in the order of `dimensions` into `out[0..dimensions.length)`, without allocating. */
  readTotal(backend: string, out: Float64Array): void;
}

/**
 * The request path's view of the counts.
 *
 * A backend's total is what this process counted plus what everybody else counted: `mine + others`. `mine` is exact.
 * `others` is the highest lower bound seen in this period, so a total is never above the truth.
 */
export interface UsageCounter<D extends string = StorageDimension> extends UsageRecorder<D> {
  /** The known backends, in the order in which they were added. */
  backends(): readonly string[];
  /** What is counted in the current period and not known to be stored. */
  load(backend: string, dimension: D): number;
  /** `load` of every dimension. */
  loadAll(backend: string): Usage<D>;
  /** The current period. */
  period(): Period;
  /** The total of the current period, `mine + others`. */
  totalAll(backend: string): Usage<D>;
  /**
   * The totals of all backends, in the order of `backends()` and for each in that of `dimensions`, without gaps, into
   * `out[0..backends().length * dimensions.length)`, without allocating: for those who look at all of them.
   */
  readTotals(out: Float64Array): void;
  /** Replaces `others` for the rest of the current period: usage that this counter does not hold. */
  setBaseline(backend: string, usage: Usage<D>): void;
}

/** The flush path's view of the counts: how they reach a store, and how the store's knowledge reaches them. */
export interface TallySource<D extends string = StorageDimension> {
  /** This run of this process; every count that it makes is under this name, or under one that begins with it and a dot. */
  readonly writer: string;
  /**
   * All tallies that are not known to be stored, those of closed periods included. Reads only: whatever happens to the
   * result, nothing is lost. May be called again at any time.
   *
   * @throws DrainConflictError when this counter's counts are taken with `swap`.
   */
  tallies(): Promise<readonly Tally[]>;
  /** The store has committed these tallies. Unknown and repeated ones are ignored. */
  settle(stored: readonly Tally[]): void;
  /** The store has lost everything that it had: from now on nothing of any period that is held is known to be stored. */
  unsettle(): void;
  /**
   * What the store held for `period` at some instant, of all backends, `all` and `own` (of `writer`) from the same read. Raises
   * `others`, also of backends that are added later in this period, and takes what was settled and is not in `own` any more
   * for not stored; ignored when the period is over. Answers the backends whose rows, of all writers, it wants through `absorb`.
   */
  observe(period: string, stored: ReadonlyMap<string, StoredUsage<D>>): readonly string[];
  /** The store's rows of the backends that `observe` answered: for each, those of all writers, from one read. */
  absorb(rows: readonly Tally[]): Promise<void>;
  /**
   * Forgets what this process counted of the backend in every period, what is not stored included, and counts on from
   * zero under a new writer's name, so that the new counts never hide behind the old maximum.
   */
  discard(backend: string): void;
}

/** Both roles, and the way for those who keep their own books. */
export interface CounterBackend<D extends string = StorageDimension> extends UsageCounter<D>, TallySource<D> {
  /**
   * Reads and resets one count atomically, closed periods included: what it returns is the caller's, and lost if the
   * caller loses it (at most once). `setBaseline` says what the caller has stored.
   *
   * @throws DrainConflictError when this counter's counts are read with `tallies`.
   */
  swap(backend: string, dimension: D): Awaitable<number>;
}
