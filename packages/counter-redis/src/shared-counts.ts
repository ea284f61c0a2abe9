import type { Period, Tally } from "@usage/counter-core";

/**
 * The counts that all instances share, as this package needs them: one hash per period and backend, merged by maximum, with
 * the sum over all writers beside them. Everything may be done again, late, twice or in another order; nothing is ever added.
 *
 * Each method rejects when the counts cannot be reached. It may be called again then; what was sent may have arrived.
 */
export interface SharedCounts {
  /** The most requests in one `merge`. */
  readonly batchSize: number;
  /**
   * Keeps the larger of each amount, and answers what is there afterwards: for each request a reply or, where only that
   * backend's counts cannot be used, an error that names the key and the reason.
   */
  merge(period: Period, requests: readonly MergeRequest[]): Promise<readonly (MergeReply | Error)[]>;
  /** Takes what was counted of one dimension by all writers and not taken before. At most once: a lost reply loses it. */
  swap(period: Period, backend: string, dimension: string): Promise<SwapReply>;
  /** All tallies of these backends, of all writers and dimensions, known here or not: for each backend a reply. */
  read(period: Period, backends: readonly string[]): Promise<readonly ReadReply[]>;
  /** Deletes the counts of a backend. */
  forget(period: Period, backend: string): Promise<void>;
  /** Notes that these backends have counts in a period. */
  register(period: Period, backends: readonly string[]): Promise<void>;
  /** The backends that anybody registered. */
  registered(period: Period): Promise<readonly string[]>;
  /** Lets go of what it holds of others, such as listeners. The counts stay. */
  close?(): void;
}

/** A backend's tallies to be merged; its own one is sent even when nothing changed, since the reply is the refresh. */
export interface MergeRequest {
  readonly backend: string;
  /** Who asks: whose part of the sum the reply tells. */
  readonly writer: string;
  /** The asking writer's tally, in dimension order. */
  readonly own: readonly number[];
  /** Tallies of this backend by other writers, as the store knows them. @default none */
  readonly others?: readonly Tally[];
  /**
   * Says that `others` is all that the store knows: counts that bear no mark of hydration get this one, in the same step.
   * Never the same twice, so that a mark also tells from which beginning the counts come.
   */
  readonly mark?: string;
  /** What is known to have been taken by `swap`, in dimension order. @default nothing */
  readonly taken?: readonly number[];
}

/** A backend's counts right after a merge. What was there before of one's own tells whether any of it was lost. */
export interface MergeReply {
  /** The mark of hydration; empty as long as what the store knows was not merged into these counts since they began. */
  readonly mark: string;
  /**
   * For each dimension in order three numbers: the sum over all writers, what the asking writer's part was *before* this
   * merge (afterwards it is that or what was sent, whichever is larger), and what was taken.
   */
  readonly amounts: readonly number[];
}

/** A backend's tallies, as far as they can be read. */
export interface ReadReply {
  readonly tallies: readonly Tally[];
  /** Why some or all of this backend's counts cannot be used; names the key. */
  readonly error?: Error;
}

export interface SwapReply {
  /** What this call took. */
  readonly amount: number;
  /** All that was ever taken, this call included. */
  readonly taken: number;
}
