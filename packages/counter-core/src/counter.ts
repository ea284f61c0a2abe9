import type { Hold } from "./holds/hold.ts";
import type { Period } from "./model/period.ts";
import type { StorageDimension, StoredUsage, Tally, Usage } from "./model/usage.ts";
import type { Event } from "./util/emitter.ts";

export type Awaitable<T> = T | Promise<T>;

/** The most that a backend may use in a period, by dimension: 0 means nothing may be used, absent is unlimited. */
export type Limits<D extends string = StorageDimension> = Partial<Usage<D>>;

/** What a refusal or an admission is worth. */
export interface Standing<D extends string = StorageDimension> {
  /** `exact`: what is admitted passes no limit. `approximate`: it may, by what others use meanwhile. */
  readonly mode: "exact" | "approximate";
  /**
   * In milliseconds since the Unix epoch. `approximate`: when others were last heard of; absent before that. `exact`: until when
   * something can be admitted without hearing of others again; absent where there are none, and where nothing can be.
   */
  readonly asOf?: number;
  /** What was written off of this period, nobody knowing whether it was used: limits may be passed by as much. Absent: nothing. */
  readonly forgiven?: Usage<D>;
  /**
   * Why nothing can be admitted that others would have to be asked for: `unready`, what they have is not known yet; `offline`, they
   * cannot be asked. Absent: they can.
   */
  readonly problem?: "unready" | "offline";
}

export interface HoldOptions {
  /** After how long it expires where nobody ends it, in milliseconds; it may take up to two seconds longer. @default 600_000 */
  readonly ttlMs?: number;
}

/**
 * What a thread needs to record usage, and to ask whether it may: synchronous, without I/O, safe to call for every request.
 *
 * Every method that takes a backend throws `UnknownBackendError` for a name that the counter does not hold; every method
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
  /** Adds like `addAll` where no total passes its limit, or 2^53-1; otherwise returns false and adds nothing. */
  tryAddAll(backend: string, usage: Partial<Usage<D>>): boolean;
  /** Whether `tryAddAll` would add. */
  fits(backend: string, usage: Partial<Usage<D>>): boolean;
  /**
   * Keeps usage free for work whose cost is known only afterwards, where no total passes its limit with it; otherwise returns
   * undefined. What is held is in every later decision, and not in the totals.
   *
   * @throws RangeError for a `ttlMs` that is not from 1 to 2^31-1.
   */
  hold(backend: string, usage: Partial<Usage<D>>, options?: HoldOptions): Hold<D> | undefined;
  /** Each hold that expires: nobody has ended it in time, and what it kept is free. */
  readonly onHoldExpired: Event<Hold<D>>;
}

/**
 * The steps of `addAll` and `tryAddAll`, for callers that count the same in several counters: in all of them, or in none. Amounts are
 * in dimension order, at least four of them, and zero behind the dimensions. That they are non-negative safe integers is not checked.
 * A row is a backend's until the event loop turns.
 */
export interface RowCounter {
  /** Undefined for a backend that is not held. */
  findRow(backend: string): number | undefined;
  /** Whether no total would pass its limit, or 2^53-1. */
  fitsRow(row: number, amounts: Float64Array): boolean;
  /** Adds where it fits; otherwise returns false and adds nothing. */
  tryAddRow(row: number, amounts: Float64Array): boolean;
  /** Adds, also past a limit; returns false and adds nothing where a total would pass 2^53-1. */
  addRow(row: number, amounts: Float64Array): boolean;
  /** Takes back what was added just now. */
  takeBackRow(row: number, amounts: Float64Array): void;
}

/**
 * The request path's view of the counts.
 *
 * A backend's total is what this process counted plus what everybody else counted: `mine + others`. `mine` is exact.
 * `others` is the highest lower bound seen in this period, so a total is never above the truth.
 */
export interface UsageCounter<D extends string = StorageDimension> extends UsageRecorder<D>, RowCounter {
  /** What open holds keep free of a backend in the current period: those of all, as far as they are known. */
  heldAll(backend: string): Usage<D>;
  /** What was counted of it in the current period beyond what was held for it, here. Its limit may be passed by as much. */
  excessAll(backend: string): Usage<D>;
  /** Each backend of which something is free again. */
  readonly onFreed: Event<string>;
  /** What decisions about a backend are worth now. */
  standing(backend: string): Standing<D>;
  /** The limits that a backend has in the current period, with what was granted for it; the limited dimensions only. */
  limitsOf(backend: string): Limits<D>;
  /** What of these limits was granted for the current period; 0 in dimensions that are not limited. */
  creditAll(backend: string): Usage<D>;
  /** The limits in the order of `dimensions` into `out[0..dimensions.length)`, Infinity where there is none, without allocating. */
  readLimits(backend: string, out: Float64Array): void;
  /** Replaces the limits of a backend. None at first. What was granted stays. */
  setLimits(backend: string, limits: Limits<D>): void;
  /**
   * Replaces what was granted to a backend for one period: its limits are higher by as much until that period ends, and nothing of
   * the next one is admitted by it. A dimension that is not limited stays so; a limit goes no higher than 2^53-2. Ignored for a
   * period that is not held.
   *
   * @param period - Its key.
   */
  setCredit(period: string, backend: string, amounts: Partial<Usage<D>>): void;
  /** Whether any backend has used this part (0.8, say) of a limit that is not 0. */
  isAnyAt(ratio: number): boolean;
  /** The backends that are held, in the order in which they were added. */
  backends(): readonly string[];
  /** Whether a backend is held: `ensure` has nothing to do for it. Counts as a use of it. */
  has(backend: string): boolean;
  /** What is counted in the current period and not known to be stored. */
  load(backend: string, dimension: D): number;
  /** `load` of every dimension. */
  loadAll(backend: string): Usage<D>;
  /** The current period. */
  period(): Period;
  /** The total of the current period, `mine + others`. */
  totalAll(backend: string): Usage<D>;
  /**
   * Says what was used of a backend in the current period, by all, as far as it was taken out of this counter with `swap` or
   * was never in it. Replaces what was said or known of others before.
   */
  setBaseline(backend: string, usage: Usage<D>): void;
}

/** Reads the store's rows of some backends in a period, of all writers: `UsageStore.tallies`. */
export type ReadRows = (period: string, backends: readonly string[]) => Promise<readonly Tally[]>;

export interface EnsureOptions<D extends string = StorageDimension> {
  /** The limits that each has from its first instant on; absent: none. */
  readonly limitsOf?: (backend: string) => Limits<D>;
  /** What was granted to each for the period with this key; undefined: nothing. Is part of its limits from its first instant on. */
  readonly creditOf?: (period: string, backend: string) => Partial<Usage<D>> | undefined;
  /**
   * What to do where the store cannot be read: `reject`, or `admit` the backend with what is known of it, which may be nothing;
   * the next refresh brings the rest. @default "reject"
   */
  readonly whenUnknown?: "reject" | "admit";
}

/** Which backends a counter holds. Any name may come: it is held from `ensure` on, until it is let go of. */
export interface OpenCounter<D extends string = StorageDimension> {
  /**
   * Holds these backends. Once it resolves, what the store and, for a shared counter, the other instances know of them is
   * included. What this process counted of one before it was let go of goes on where it was.
   *
   * @throws NameError for a name that is none; TooManyBackendsError where more would be held than may be.
   * @throws UnknownUsageError when what was used of them cannot be read.
   */
  ensure(backends: Iterable<string>, read: ReadRows, options?: EnsureOptions<D>): Promise<void>;
  /**
   * Lets go of a backend, which comes back by `ensure` as if it had never left. Returns false, and keeps it, where something
   * of it is not stored yet.
   */
  release(backend: string): boolean;
}

/** The flush path's view of the counts: how they reach the store, and how the store's knowledge reaches them. */
export interface TallySource<D extends string = StorageDimension> {
  /** This run of this process; every count that it makes is under this name, or under a generation of it (`isWrittenBy`). */
  readonly writer: string;
  /**
   * All tallies that the store is not known to have, those of closed periods included. Reads only: whatever happens to the
   * result, nothing is lost. May be called again at any time.
   *
   * @throws DrainConflictError when this counter's counts are taken with `swap`.
   */
  tallies(): Promise<readonly Tally[]>;
  /** The store has committed these tallies. Unknown and repeated ones are ignored. */
  confirm(stored: readonly Tally[]): void;
  /**
   * The store has lost everything that it had: nothing of any period that is held is known to be stored.
   *
   * @throws DrainConflictError when this counter's counts are taken with `swap`.
   */
  unconfirm(): void;
  /**
   * What the store held for `period` at some instant: `all` and `own` (of `writer`) of each backend from the same read. Raises
   * `others`, and takes what was confirmed and is not in `own` any more for not stored; ignored when the period is over.
   *
   * @param asked - The backends that the read was about; absent: all. What is not in `stored` of them, the store does not have.
   * @returns The backends whose rows, of all writers, it wants through `absorb`.
   */
  learn(period: string, stored: ReadonlyMap<string, StoredUsage<D>>, asked?: readonly string[]): readonly string[];
  /** The store's rows of the backends that `learn` returned: for each, those of all writers, from one read. */
  absorb(rows: readonly Tally[]): Promise<void>;
  /**
   * Forgets what this process counted of the backend in every period, what is not stored included, and counts on from
   * zero under a new generation of its name, so that the new counts never hide behind the old maximum.
   */
  discard(backend: string): void;
}

/** All roles, and the way for those who keep their own books. */
export interface CounterBackend<D extends string = StorageDimension>
  extends UsageCounter<D>,
    OpenCounter<D>,
    TallySource<D> {
  /**
   * What this process counted in one dimension and never returned from here, closed periods included: it is the caller's, and
   * lost if the caller loses it (at most once). Totals keep it until `setBaseline` says what is used.
   *
   * @throws DrainConflictError when this counter's counts are read with `tallies`.
   */
  swap(backend: string, dimension: D): Awaitable<number>;
}
