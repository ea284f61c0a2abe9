import type { Change, ChangesQuery, StoredChange } from "../model/change.ts";
import type { Grant, GrantReceipt, GrantsQuery, StoredGrant } from "../model/grant.ts";
import type { Instance, StoredInstance, WriterUsage } from "../model/instance.ts";
import type { Mark } from "../model/mark.ts";
import type { Notice, NoticesQuery } from "../model/notice.ts";
import type { TimelineAges, TimelineQuery, TimelineStep } from "../model/timeline.ts";
import type { PeriodUsage, StorageDimension, StoredUsage, Tally } from "../model/usage.ts";

/** A tally that a store will never take, and why. */
export interface RejectedTally {
  readonly tally: Tally;
  readonly reason: Error;
}

export interface MergeOptions {
  /** Aborting it rejects the merge with the signal's reason; what was sent may still be stored. */
  readonly signal?: AbortSignal;
  /**
   * When what is new of the tallies was used, in milliseconds since the Unix epoch: for usage that comes from elsewhere. Only a
   * timeline knows of it. @default now
   */
  readonly at?: number;
  /**
   * Who merges, the same each time. Of what it itself has counted, `totals` since a cursor need not tell it that this merge has let it
   * grow: it knows that. @default nobody
   */
  readonly writer?: string;
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
  /** Only of these backends; of none where the list is empty. What is not in the answer of them, the store does not have. */
  readonly backends?: readonly string[];
  /**
   * Only of backends that changed since the answer that gave this `cursor`, and perhaps of some more. A removed backend is not
   * told, and what `writer` has itself merged of its own need not be. A cursor is of one period and of the store object that gave
   * it: with any other text, nothing is left out.
   */
  readonly since?: string;
}

export interface StoredTotals<D extends string = StorageDimension> {
  /** Each backend's usage: of all writers, and of the one that was asked about, both from one read. */
  readonly usage: ReadonlyMap<string, StoredUsage<D>>;
  /**
   * What to ask for next as `since`, whatever was asked for now. Absent where the store cannot tell what changed: then all is read
   * each time.
   */
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
   * tallies may be stored; merging them again is right. Resolves with those that can never be stored (an amount or a name
   * out of range, say); they do not stop the others.
   */
  merge(tallies: readonly Tally[], options?: MergeOptions): Promise<readonly RejectedTally[]>;
  /** Usage in a period, by backend: of all writers, and of `writer` alone. */
  totals(period: string, writer: string, query?: TotalsQuery): Promise<StoredTotals<D>>;
  /** The rows of some backends in a period, of all writers; each backend's rows from one read. */
  tallies(period: string, backends: readonly string[]): Promise<readonly Tally[]>;
  /** Usage over all writers, by period and then by backend, in ascending order. */
  history(query: HistoryQuery): Promise<readonly PeriodUsage[]>;
  /**
   * Deletes a backend's rows in every period, its grants, and its marks with their notices. Final only once nobody counts that
   * backend any more.
   */
  remove(backend: string): Promise<void>;
  /**
   * Makes the rows of each period that is over for long one row for each backend and dimension, and closes that period: whatever
   * `merge` is sent of it from then on is rejected, with a `PeriodFoldedError`. Usage and history stay what they were, exactly.
   * May be called again after a rejection, and by several at once.
   *
   * Marks and grants stay: what happened in a period has happened, and is nobody's to claim again.
   *
   * Folds what `foldableBefore` allows: periods whose key is a calendar date and less than `before`, 40 days after their end. A
   * period of which nothing is stored stays open: what comes late of it is stored as ever, and folded the next time.
   *
   * @param before - A period's key, as in `HistoryQuery`.
   * @returns The keys of the periods that are folded now, and were not before, in ascending order.
   * @throws RangeError when `before` is no calendar date, or less than 40 days ago.
   */
  fold(before: string): Promise<readonly string[]>;
  /**
   * Keeps the marks that it does not have yet, and tells which those are: however many claim a mark, also at once and from several
   * processes, one of them is told that it is new, whoever was first. Durable once it resolves.
   *
   * A mark is told as new once. After a rejection any part of the marks may be claimed, in the name of a caller who does not know;
   * claimed again, they are not new. So who is not told that a mark is new takes it for somebody else's, and waits for what that
   * one does, or does without. What a store loses, it tells as new once more.
   *
   * A mark that is new and has a notice puts that into the outbox of its channel, at once with itself: both are there, or neither.
   * That of a mark that is not new is ignored.
   *
   * Needed for exact limits and for thresholds. Absent on stores that keep no marks.
   *
   * @returns Those of `marks` that are new, in their order; of the same ones the first.
   * @throws NameError or RangeError when one of them is no mark: then none is claimed.
   */
  claim?(marks: readonly Mark[]): Promise<readonly Mark[]>;
  /**
   * Takes notices of a channel that are due, those that were claimed first before others. Each is due at once, and again after a
   * pause that doubles with every attempt, until somebody acknowledges it: who takes one and dies delays it, and loses nothing. Of
   * several who take at once, each notice goes to one. Times are those of the database's clock.
   *
   * After a rejection any of them may be taken, by nobody; they are due again after their pause.
   *
   * @throws RangeError for a channel that is no name, and a `limit` or `retryMs` that is out of range.
   */
  notices?(channel: string, query: NoticesQuery): Promise<readonly Notice[]>;
  /** These are delivered, and never due again. May be repeated; what the store does not have is ignored. */
  acknowledge?(notices: readonly Omit<Mark, "notice">[]): Promise<void>;
  /**
   * Stores a grant, durably once it resolves, where there is none under its id yet: of several under the same one, also at once, the
   * first. After a rejection it may be stored; sent again, it is not new then. Absent on stores that keep no grants.
   *
   * @throws NameError, AmountError, RangeError or TypeError when it is no grant.
   */
  grant?(grant: Grant): Promise<GrantReceipt>;
  /** The grants that are asked for, the earliest first. Present where `grant` is. */
  grants?(query?: GrantsQuery): Promise<readonly StoredGrant[]>;
  /**
   * Stores a change of a setting, durably once it resolves, under the next revision; of several at once that follow the same one, the
   * first. Resolves with undefined, and stores nothing, where another change of the setting has come since the one it follows. After a
   * rejection it may be stored. Absent on stores that keep no settings.
   *
   * @throws RangeError when it is no change.
   */
  change?(change: Change): Promise<StoredChange | undefined>;
  /** The changes of settings that are asked for, by ascending revision. Cheap where there are none. Present where `change` is. */
  changes?(query?: ChangesQuery): Promise<readonly StoredChange[]>;
  /**
   * Usage of a period by hour or by day of UTC, over all writers: the earliest step first, and in each the backends in ascending
   * order. Steps in which nothing was stored are left out.
   *
   * By how much a merge lets an amount grow is added to the hour of the merge in the same transaction, so the hours of a period add
   * up to its totals at every instant, whatever is repeated, lost or late. What comes outside of its period is taken to be of the
   * period's first or last hour. Missing is what was stored by somebody who keeps no timeline.
   *
   * Kept of periods whose key is a calendar date, such as `2026-01`, which is taken for one of UTC. Absent where none is kept.
   *
   * @throws RangeError for a query that is none.
   */
  timeline?(period: string, query: TimelineQuery): Promise<readonly TimelineStep[]>;
  /**
   * Makes old hours one with their day, whose first hour they become, and deletes old days: in all periods. The sums of the others
   * stay what they were at every instant. May be called again after a rejection, and by several at once. Present where `timeline` is.
   *
   * @throws RangeError for ages that are none.
   */
  foldTimeline?(ages: TimelineAges): Promise<void>;
  /**
   * Says that an instance is there, and when it was last heard of: now, by the store's clock. May be repeated as often as it is true;
   * the last one counts. Instances that were not heard of for 40 days are forgotten. Absent on stores that keep none.
   *
   * @throws RangeError or NameError when it is no instance.
   */
  heartbeat?(instance: Instance): Promise<void>;
  /** All that were heard of, the last heard first. Present where `heartbeat` is. */
  instances?(): Promise<readonly StoredInstance[]>;
  /**
   * What each writer stored of all backends in a period, in ascending order; the writer of what was folded is the empty text. Present
   * where `heartbeat` is.
   */
  writers?(period: string): Promise<readonly WriterUsage[]>;
}
