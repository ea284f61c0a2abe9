import type {
  Grant,
  GrantsQuery,
  Instance,
  NoticesQuery,
  StoredInstance,
  StoredUsage,
  Tally,
  TimelineAges,
  TimelineQuery,
  TimelineStep,
  WriterUsage,
} from "@usage/counter-core";
import type { MarkRow } from "@usage/counter-core/internal";
import type { CheckedTally } from "./checked-tally.ts";

/** A backend's usage in one period, `own` of one writer; in every stored dimension, at most 2^53-1 each, from one read. */
export interface BackendUsage extends StoredUsage<string> {
  readonly backend: string;
}

/** A mark whose notice was taken. */
export interface NoticeRow extends MarkRow {
  readonly body: string;
  readonly attempts: number;
  readonly createdAt: Date;
}

/** A grant that is to be stored. */
export interface NewGrantRow extends Omit<Grant, "by"> {
  readonly grantedBy: string | null;
}

export interface GrantRow extends NewGrantRow {
  readonly createdAt: Date;
}

/** A change of a setting that is to be stored. */
export interface NewChangeRow {
  readonly subject: string;
  readonly setting: string;
  readonly value: string | null;
  readonly before: string | null;
  readonly changedBy: string | null;
  readonly reason: string | null;
}

export interface ChangeRow extends NewChangeRow {
  readonly revision: number;
  readonly createdAt: Date;
}

/** How far the changes of a period are, in a unit of the dialect's own, and in which database that is. */
export interface Position {
  readonly at: number;
  /** Another text where the database is, or may be, another one than before. */
  readonly database: string;
}

/** Of which backends usage is read; of all of them where nothing is said. */
export interface Selection {
  /** All different. */
  readonly backends?: readonly string[];
  /**
   * Only those that changed, also a little before that position where the order of changes is not that of their commits. What the asking
   * writer has upserted itself of its own is left out.
   */
  readonly since?: number;
}

export interface UpsertOptions {
  readonly signal?: AbortSignal | undefined;
  /** See `MergeOptions`. */
  readonly at?: number | undefined;
  /** See `MergeOptions`. */
  readonly writer?: string | undefined;
}

/** The writer of the row that stands for all writers of a folded period: no counter has such a name. */
export const FOLDED_WRITER = "";

/**
 * What the tables of a store can do in one dialect of SQL. Everything rejects with `StoreError` or one of its kin.
 * Many rows come in pages that do not hold the event loop; whoever reads them lets it turn in between.
 */
export interface UsageTable {
  /** Rows of one `upsert` that do not hold the event loop for longer than a few milliseconds. */
  readonly rowsPerChunk: number;
  /** Whether a chunk is sent while the one before it is under way. */
  readonly pipelined: boolean;
  /** Matches the driver's code when the database refuses a row for ever. */
  readonly refusal: RegExp;
  /**
   * Keeps the larger amounts, of all tallies or of none, but for those of folded periods; writes nothing where nothing grew. They come in
   * the order of periods, backends and writers, none twice. Resolves with the periods among them that are folded, of which it kept
   * nothing, or may have.
   */
  upsert(tallies: readonly CheckedTally[], options: UpsertOptions): Promise<readonly string[]>;
  /** The first period after `from` (or `from` itself where `included`) up to `to`, by the bytes of their keys. */
  periodBetween(from: string, to: string | undefined, included: boolean): Promise<string | undefined>;
  /** What is committed later than this is told by `usage` since this. */
  position(period: string): Promise<Position>;
  /** Of all backends ordered by the bytes of their names, of those that are selected in any order. */
  usage(period: string, writer: string, selection?: Selection): AsyncIterable<readonly BackendUsage[]>;
  /** The rows of the backends, which are all different; each backend's from one read. */
  tallies(period: string, backends: readonly string[]): AsyncIterable<readonly Tally[]>;
  /** Its tallies and its timeline at once. */
  remove(period: string, backend: string): Promise<void>;
  /** Parts of the period's steps, the earliest first, some of them several times. */
  timeline(period: string, query: TimelineQuery): AsyncIterable<readonly TimelineStep[]>;
  /** Folds old hours and deletes old days of a period, some of them at a time. */
  foldTimeline(period: string, ages: TimelineAges): AsyncIterable<void>;
  /** The first period after `from` that has a timeline. */
  timelinePeriodAfter(from: string): Promise<string | undefined>;
  /** Keeps an instance, which is there now; forgets those that were not heard of since that time. */
  heartbeat(instance: Instance, forgetMs: number): Promise<void>;
  instances(): Promise<readonly StoredInstance[]>;
  /** The sums of writers over all backends, some of them several times. */
  writers(period: string): AsyncIterable<readonly WriterUsage[]>;
  /** Inserts those that are not there, all of them or none, and resolves with these. All differ; at most `rowsPerChunk`. */
  claim(marks: readonly MarkRow[]): Promise<readonly MarkRow[]>;
  /** Takes notices that are due, in any order; see `UsageStore.notices`. */
  notices(channel: string, query: NoticesQuery): Promise<readonly NoticeRow[]>;
  /** What came with the marks is not due any more. All differ; at most `rowsPerChunk`. */
  acknowledge(marks: readonly MarkRow[]): Promise<void>;
  /** Deletes the marks of a backend, in every period. */
  removeMarks(backend: string): Promise<void>;
  /** Inserts a grant where there is none under its id, and resolves with it; with nothing where there is one. */
  grant(row: NewGrantRow): Promise<readonly GrantRow[]>;
  /** The earliest first. */
  grants(query: GrantsQuery & { readonly id?: string }): Promise<readonly GrantRow[]>;
  /** Deletes the grants of a backend, in every period. */
  removeGrants(backend: string): Promise<void>;
  /**
   * Inserts a change under the next revision where `follows` is the last one of its setting or is undefined, and resolves with it; with
   * nothing otherwise, or where another change was inserted at once.
   */
  change(row: NewChangeRow, follows: number | undefined): Promise<readonly ChangeRow[]>;
  /** Those of later revisions, in order. */
  changes(after: number): Promise<readonly ChangeRow[]>;
  /** Deletes the changes of a setting before one of it. */
  removeChanges(before: Pick<ChangeRow, "subject" | "setting" | "revision">): Promise<void>;
  /** The revision of the last change of a setting; 0 where there is none. */
  revisionOf(setting: Pick<NewChangeRow, "subject" | "setting">): Promise<number>;
  /** Which of the periods take no rows any more. */
  folded(periods: readonly string[]): Promise<readonly string[]>;
  /** From now on the periods take no rows any more. No `upsert` that began before is under way once this resolves. */
  close(periods: readonly string[]): Promise<void>;
  /** Makes the rows of a closed period one for each backend and dimension, some backends at a time, each of them at once. */
  foldRows(period: string): AsyncIterable<void>;
}
