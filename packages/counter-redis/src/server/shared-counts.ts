import type { Tally } from "@usage/counter-core";
import type { Bucket } from "./keys.ts";

/** What a writer was ever granted of one dimension, what it ever returned, and what it was forgiven. All only grow. */
export interface Pair {
  readonly granted: number;
  readonly returned: number;
  /** What it could have used, and others were given when it was taken for dead. */
  readonly forgiven: number;
}

/** Who is meant by `forgive`. */
export interface Silent {
  /** For how long a writer must not have said that it holds anything, in milliseconds. */
  readonly silentMs: number;
  /** The only one that is meant. @default everybody */
  readonly writer?: string;
}

/** What a writer was forgiven, in the order of dimensions. */
export interface ForgivenAmounts {
  readonly writer: string;
  readonly amounts: readonly number[];
}

/** What a writer asks for in one dimension. */
export interface Ask {
  /** The most that all together may use and hold. */
  readonly limit: number;
  /** What shall be granted to the writer altogether. */
  readonly target: number;
  /** What of it is needed now; the rest is given as far as there is plenty. */
  readonly need: number;
}

/** What is merged into the shared counts of one backend. */
export interface MergeItem {
  readonly backend: string;
  readonly writer: string;
  /** What the writer counted so far, in the order of dimensions. */
  readonly own: readonly number[];
  /** What the writer may use and hold, in the order of dimensions. Absent where it holds nothing, and never did. */
  readonly pairs?: readonly Pair[];
  /** What it asks for, in the order of dimensions, undefined where that is nothing. Not without pairs. */
  readonly asks?: readonly (Ask | undefined)[];
  /** Some of the store's rows of the backend. */
  readonly rows?: readonly Tally[];
  /** The epoch that was known before the rows were read, with the last of them: from then on the hash has all that the store had. */
  readonly mark?: string;
}

/** What is shared of one backend right after a merge, amounts in the order of dimensions. */
export interface MergedItem {
  /** Whether anybody has counts there. */
  readonly exists: boolean;
  /** Whether it has all that the store had when the bucket's epoch began. */
  readonly isWhole: boolean;
  /** Over all writers. */
  readonly sums: readonly number[];
  /** The asking writer's. */
  readonly own: readonly number[];
  /** Absent where nobody ever held anything. */
  readonly slices?: MergedSlices;
}

/** What may be used of one backend without asking, amounts in the order of dimensions. */
export interface MergedSlices {
  /** Whether whoever has a slice is known there: slices are granted. */
  readonly isRipe: boolean;
  /** What all may still use without asking. */
  readonly held: readonly number[];
  /** What all were forgiven so far. */
  readonly forgiven: readonly number[];
  /** The asking writer's. */
  readonly pairs: readonly Pair[];
  /** How often somebody got less than it needed. */
  readonly hungry: readonly number[];
}

export interface MergeReply {
  /** The bucket's epoch: another one than before means that something of the bucket was lost. */
  readonly epoch: string;
  /** The bucket's version before and after the merge. */
  readonly before: number;
  readonly after: number;
  /** An error for a backend whose counts cannot be used; nothing of them was changed. */
  readonly items: readonly (MergedItem | Error)[];
}

/** The tallies of one backend, as far as they can be read. */
export interface ReadReply {
  readonly tallies: readonly Tally[];
  /** Why some or all of this backend's counts cannot be used; names the key. */
  readonly error?: Error;
}

export interface Changes {
  /** Empty where something of the bucket is missing; the next merge mends that. */
  readonly epoch: string;
  readonly version: number;
  readonly backends: readonly string[];
}

/** What a run pushed and is not known to have stored. */
export interface Owed {
  /** "*" for everybody. */
  readonly run: string;
  /** The versions of its first and last such push. */
  readonly since: number;
  readonly last: number;
}

export interface Owing {
  /** Empty where the bucket has nothing. */
  readonly epoch: string;
  readonly owed: readonly Owed[];
}

/** All of its pushes up to a version are stored. */
export interface StoredUpTo {
  readonly run: string;
  readonly version: number;
}

/**
 * Counts that instances share, by bucket. Every method rejects when they cannot be reached, and may be called again: merging is
 * by maximum, and reports are. It rejects with a `RefusedCountsError` where only that bucket cannot be used.
 */
export interface SharedCounts {
  /** Tells these counts from others whose instances have the same store. @default "shared counts" */
  readonly name?: string;
  /** Backends in one `merge`. */
  readonly batchSize: number;
  /** Whether buckets are on several nodes, of which some may be away and others not. */
  readonly isDivided: boolean;
  /** @param run - Whose counts come first in each item: it owes them to the store until it reports. */
  merge(bucket: Bucket, run: string, items: readonly MergeItem[]): Promise<MergeReply>;
  /**
   * For each bucket a text that is another one whenever anything of it has changed; empty where there is none, and undefined
   * where only its node does not answer.
   */
  versions(buckets: readonly Bucket[]): Promise<readonly (string | undefined)[]>;
  /** What changed since `cursor`, where the epoch is this one, or is not known yet (""). */
  changed(bucket: Bucket, epoch: string, cursor: number): Promise<Changes>;
  /** How many of these backends have counts. */
  count(bucket: Bucket, backends: readonly string[]): Promise<number>;
  /** What runs owe the store in a bucket: the pushes that they have not reported as stored. */
  owing(bucket: Bucket): Promise<Owing>;
  /** The backends whose last change has this version or a later one. */
  changedSince(bucket: Bucket, version: number): Promise<readonly string[]>;
  /** All writers' tallies of some backends, in all dimensions, known here or not: for each backend a reply. */
  tallies(bucket: Bucket, backends: readonly string[]): Promise<readonly ReadReply[]>;
  /** Notes what is stored of the pushes in this epoch; changes nothing where the bucket has another one. */
  report(bucket: Bucket, epoch: string, stored: readonly StoredUpTo[]): Promise<void>;
  /** Everybody may owe everything: the store has lost something. */
  oweAll(bucket: Bucket): Promise<void>;
  /** From now on slices of this epoch of the bucket are granted: nobody can have one that is not known there. */
  ripen(bucket: Bucket, epoch: string): Promise<void>;
  /** Forgives writers of a backend what they may use without asking: nobody is kept from it any more. */
  forgive(bucket: Bucket, backend: string, silent: Silent): Promise<readonly ForgivenAmounts[]>;
  /** Deletes the counts of a backend. */
  forget(bucket: Bucket, backend: string): Promise<void>;
  /** Lets go of what it holds of others, such as listeners. The counts stay. */
  close?(): void;
}
