import type { Clock, Period } from "@usage/counter-core";
import { Hop, type PeriodCells, type Periods, type Rows, type Tallies } from "@usage/counter-core/internal";
import type { Bucket } from "../server/keys.ts";
import { sharedUntilMs } from "../server/retention.ts";
import type { Changes, MergedItem, MergeItem, MergeReply } from "../server/shared-counts.ts";
import { BucketRows } from "./bucket-rows.ts";
import type { BucketState } from "./bucket-state.ts";
import type { RedisEvent } from "./events.ts";
import type { OpenedPeriod } from "./opened-period.ts";
import { SharedPeriod } from "./shared-period.ts";
import { Slices, type SlicesParts } from "./slices.ts";

export interface ReplicationParts {
  readonly rows: Rows;
  readonly periods: Periods;
  readonly tallies: Tallies;
  readonly clock: Clock;
  readonly emit: (event: RedisEvent) => void;
  readonly slices: Pick<SlicesParts, "periods" | "isExact" | "leaseMs" | "syncIntervalMs" | "freed" | "hasten">;
}

/** What is known here of the shared counts: the hop to Redis. Takes what every reply shows; others decide what to ask. */
export class Replication {
  readonly hop: Hop;
  readonly slices: Slices;
  /** The period that is opened ahead, until it begins. */
  next: OpenedPeriod | undefined;
  readonly #parts: ReplicationParts;
  readonly #bucketRows = new BucketRows();
  #shared: readonly SharedPeriod[] = [];

  constructor(parts: ReplicationParts) {
    this.#parts = parts;
    this.hop = new Hop(1, parts.tallies.dimensions.length);
    const { tallies, clock } = parts;
    const current = (): SharedPeriod => this.current();
    const bucketOf: SlicesParts["bucketOf"] = (shared, row) => this.bucketOf(shared, row);
    this.slices = new Slices({ ...parts.slices, tallies, clock, current, bucketOf });
    for (let row = 0; row < parts.rows.end; row++) this.hold(row);
  }

  /** The periods that are held and still shared, the current one last. */
  periods(): readonly SharedPeriod[] {
    const nowMs = this.#parts.clock.now();
    // fault: shares the current period only
    this.#shared = this.#parts.periods
      .all()
      .filter(({ period }) => nowMs < sharedUntilMs(period))
      .map((cells) => this.#shared.find((shared) => shared.cells === cells) ?? this.#begin(cells));
    return this.#shared;
  }

  current(): SharedPeriod {
    return this.#of(this.#parts.periods.current());
  }

  /** A row has come to be used; what is shared of it is asked for with the next push. */
  hold(row: number): void {
    this.#bucketRows.add(row, this.#parts.rows.nameOf(row));
    this.current().apply(row, { kind: "changed" });
  }

  letGo(row: number): void {
    for (const shared of this.periods()) {
      this.slices.clear(shared, row);
      shared.clear(row);
    }
    this.#bucketRows.delete(row);
  }

  bucketOf(shared: SharedPeriod, row: number): BucketState {
    return shared.buckets[this.#bucketRows.of(row)] as BucketState;
  }

  /** Whether what is shared of a row of the current period could not be used when it was last tried. */
  isRefused(row: number): boolean {
    const current = this.current();
    return current.isRefused(row) || this.bucketOf(current, row).isAway;
  }

  /** Whether a bucket is known to be on a node of a cluster that is away. */
  isAway({ period, number }: Bucket): boolean {
    const shared = this.periods().find(({ cells }) => cells.period.start === period.start);
    return shared?.buckets[number]?.isAway ?? false;
  }

  /** What was counted here in a cell of the current period and is not known to be shared. */
  unpushed(cell: number): number {
    const cells = this.#parts.periods.current();
    return Math.max(0, cells.mine(cell) - (this.hop.of(cells).confirmed[cell] as number));
  }

  rowsOf({ number }: BucketState): readonly number[] {
    return this.#bucketRows.in(number);
  }

  /** Whether all that a row has is shared, and nothing new of it is known to be there. */
  isInStep(row: number): boolean {
    // fault: lets go of what is not shared
    return this.periods().every((shared) => {
      return !this.hop.isBehind(shared.cells, row) && !shared.isDue(row) && this.slices.isInStep(shared, row);
    });
  }

  /**
   * Takes the reply to a merge.
   *
   * @param sentAtMs - When it was sent, by `Clock.elapsed`.
   */
  take(
    shared: SharedPeriod,
    bucket: BucketState,
    items: readonly MergeItem[],
    reply: MergeReply,
    sentAtMs: number,
  ): void {
    const isSame = bucket.epoch === reply.epoch;
    this.#epochIs(shared, bucket, reply.epoch, reply.after);
    // fault: after a merge of one's own the cursor moves past what others changed
    if (isSame && reply.before === bucket.cursor) bucket.cursor = reply.after;
    bucket.seen = Math.max(bucket.seen, reply.after);
    // fault: a lease runs from the reply
    this.slices.served(shared, bucket, sentAtMs);
    for (const [i, merged] of reply.items.entries()) this.#takeItem(shared, bucket, items[i] as MergeItem, merged);
  }

  /**
   * Takes what changed in a bucket.
   *
   * @param asked - The epoch that it was asked about.
   * @param sentAtMs - When that was, by `Clock.elapsed`.
   */
  takeChanges(shared: SharedPeriod, bucket: BucketState, asked: string, changes: Changes, sentAtMs: number): void {
    const isNews = bucket.epoch !== changes.epoch;
    this.#epochIs(shared, bucket, changes.epoch, changes.version);
    // The names are those since the cursor, in the epoch that was asked about: of another one they say nothing.
    if (changes.epoch === "" || (asked !== "" && asked !== changes.epoch)) return;
    if (isNews && asked !== "") return;
    if (!isNews) this.slices.served(shared, bucket, sentAtMs);
    for (const backend of changes.backends) {
      const row = this.#parts.rows.find(backend);
      if (row !== undefined) shared.apply(row, { kind: "changed" });
    }
    bucket.cursor = Math.max(bucket.cursor, changes.version);
    bucket.seen = Math.max(bucket.seen, changes.version);
  }

  /**
   * Takes what one reply shows of a row: others have what is shared less one's own.
   *
   * @param own - What is shared under the name that the row counts under.
   * @param sent - What was sent of it.
   */
  learnRow(
    shared: SharedPeriod,
    row: number,
    merged: MergedItem,
    own: readonly number[],
    sent: readonly number[],
  ): void {
    const { cells } = shared;
    // fault: takes what it shared before for its own part, not what the reply says
    this.hop.learn(
      cells,
      row,
      (place) => merged.sums[place] as number,
      (place) => own[place] as number,
    );
    this.hop.confirm(cells, row, (place) => Math.max(own[place] as number, sent[place] as number));
    shared.apply(row, { kind: "replied", exists: merged.exists, isWhole: merged.isWhole });
  }

  /** These rows cannot be shared now, which is told once. */
  refuse(shared: SharedPeriod, rows: readonly number[], error: Error): void {
    const isNew = rows.filter((row) => !shared.isRefused(row));
    for (const row of rows) shared.apply(row, { kind: "refused" });
    if (isNew.length === 0) return;
    const backends = isNew.map((row) => this.#parts.rows.nameOf(row));
    this.#parts.emit({ kind: "refused", period: shared.cells.period.key, backends, error });
  }

  /** What was shared of a backend was deleted. */
  forgotten(period: Period, backend: string): void {
    const row = this.#parts.rows.find(backend);
    if (row === undefined) return;
    for (const shared of this.periods()) {
      if (shared.cells.period.start !== period.start) continue;
      this.hop.forget(shared.cells, row);
      shared.apply(row, { kind: "renewed" });
    }
  }

  /** What is known already of a period that was opened ahead goes on there. */
  #begin(cells: PeriodCells): SharedPeriod {
    const { next } = this;
    if (next?.period.start !== cells.period.start) return new SharedPeriod(cells);
    this.next = undefined;
    const shared = new SharedPeriod(cells, next.buckets);
    for (const [backend, { exists, isWhole }] of next.known) {
      const row = this.#parts.rows.find(backend);
      if (row !== undefined) shared.apply(row, { kind: "replied", exists, isWhole });
    }
    return shared;
  }

  #of(cells: PeriodCells): SharedPeriod {
    const shared = this.#shared.find((known) => known.cells === cells);
    return shared ?? (this.periods().find((known) => known.cells === cells) as SharedPeriod);
  }

  #takeItem(shared: SharedPeriod, bucket: BucketState, item: MergeItem, merged: MergedItem | Error): void {
    const row = this.#parts.rows.find(item.backend);
    if (row === undefined || this.#parts.tallies.writerOf(shared.cells, row) !== item.writer) return;
    if (merged instanceof Error) {
      this.refuse(shared, [row], merged);
      return;
    }
    if (item.own.some((amount) => amount > 0)) bucket.owes = true;
    this.learnRow(shared, row, merged, merged.own, item.own);
    this.slices.take(shared, row, item, merged);
  }

  /** A bucket that began anew may have lost everything: it is pushed and looked at again. */
  #epochIs(shared: SharedPeriod, bucket: BucketState, epoch: string, version: number): void {
    if (bucket.epoch === epoch) return;
    const before = bucket.epoch;
    this.slices.renewed(shared, bucket, this.rowsOf(bucket));
    bucket.begin(epoch, this.#parts.clock.elapsed());
    bucket.seen = version;
    // Seen for the first time: what is in it is asked for with the next look.
    bucket.cursor = before === "" ? 0 : version;
    if (before === "") return;
    const lost: string[] = [];
    // fault: a new epoch does not make the rows of the bucket be pushed again
    for (const row of this.rowsOf(bucket)) {
      if (shared.exists(row)) lost.push(this.#parts.rows.nameOf(row));
      shared.apply(row, { kind: "renewed" });
      this.hop.forget(shared.cells, row);
    }
    if (lost.length > 0) this.#parts.emit({ kind: "lost", period: shared.cells.period.key, backends: lost });
  }
}
