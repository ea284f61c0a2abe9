import type { Clock } from "@usage/counter-core";
import { Hop, type PeriodCells, type Periods, type Rows, type Tallies } from "@usage/counter-core/internal";
import { type Bucket, bucketOf } from "../server/keys.ts";
import { RETENTION_MS } from "../server/redis-shared-counts.ts";
import type { Changes, MergedItem, MergeItem, MergeReply, SharedCounts } from "../server/shared-counts.ts";
import type { RedisEvent } from "./events.ts";
import type { Exchanges } from "./exchanges.ts";
import { type BucketState, SharedPeriod } from "./shared-period.ts";

export interface ReplicationParts {
  readonly run: string;
  readonly rows: Rows;
  readonly periods: Periods;
  readonly tallies: Tallies;
  readonly counts: SharedCounts;
  readonly exchanges: Exchanges;
  readonly clock: Clock;
  readonly emit: (event: RedisEvent) => void;
}

/** What a merge of a row brings besides the own tally. */
export type Brought = Pick<MergeItem, "rows" | "mark">;

/** Keeps this process's rows and the shared counts in step: the hop to Redis. */
export class Replication {
  readonly hop: Hop;
  readonly #parts: ReplicationParts;
  readonly #size: number;
  #shared: readonly SharedPeriod[] = [];
  #isRetrying = false;

  constructor(parts: ReplicationParts) {
    this.#parts = parts;
    this.#size = parts.tallies.dimensions.length;
    this.hop = new Hop(1, this.#size);
  }

  /** The periods that are held and still shared, the current one last. */
  periods(): readonly SharedPeriod[] {
    const nowMs = this.#parts.clock.now();
    this.#shared = this.#parts.periods
      .all()
      .filter(({ period }) => nowMs < period.end + RETENTION_MS)
      .map((cells) => this.#shared.find((shared) => shared.cells === cells) ?? new SharedPeriod(cells));
    return this.#shared;
  }

  current(): SharedPeriod {
    return this.of(this.#parts.periods.current());
  }

  of(cells: PeriodCells): SharedPeriod {
    const shared = this.#shared.find((known) => known.cells === cells);
    return shared ?? (this.periods().find((known) => known.cells === cells) as SharedPeriod);
  }

  bucketOf(shared: SharedPeriod, row: number): BucketState {
    return shared.buckets[bucketOf(this.#parts.rows.nameOf(row))] as BucketState;
  }

  /** Pushes what is due, by bucket. Rejects where nothing could be exchanged. */
  async pushDue(): Promise<void> {
    const { rows } = this.#parts;
    for (const shared of this.periods()) {
      const due = [...new Set([...this.hop.due(shared.cells), ...shared.due()])];
      const sendable = due.filter((row) => rows.isUsed(row) && (shared.isDue(row) || !shared.isRefused(row)));
      const names = sendable.map((row) => rows.nameOf(row));
      if (names.length > 0) await this.push(shared, names);
    }
  }

  /**
   * Merges the tallies of these backends, and takes what is shared of them. By name: until it is its turn, a row may be another's.
   *
   * @param brought What each of them brings besides.
   */
  async push(shared: SharedPeriod, backends: readonly string[], brought?: ReadonlyMap<string, Brought>): Promise<void> {
    const { counts, run } = this.#parts;
    const byBucket = Map.groupBy(backends, (backend) => shared.buckets[bucketOf(backend)] as BucketState);
    for (const bucket of [...byBucket.keys()]) if (bucket.isAway) byBucket.delete(bucket);
    const sizes = Array.from(byBucket.values(), ({ length }) => length);
    for (let start = 0; start < Math.max(0, ...sizes); start += counts.batchSize) {
      const batches = [...byBucket].filter(([, all]) => start < all.length);
      const sent = new Map<BucketState, readonly MergeItem[]>();
      await this.#each(
        batches.map(([bucket]) => bucket),
        (bucket) => {
          // Made when it is sent: what was counted meanwhile is in it.
          const part = (byBucket.get(bucket) ?? []).slice(start, start + counts.batchSize);
          const items = part.flatMap((backend) => this.#itemOf(shared, backend, brought));
          sent.set(bucket, items);
          return counts.merge(bucket, run, items);
        },
        (bucket, reply) => this.take(shared, bucket, sent.get(bucket) ?? [], reply),
      );
    }
  }

  /** Takes the reply to a merge. */
  take(shared: SharedPeriod, bucket: BucketState, items: readonly MergeItem[], reply: MergeReply): void {
    const isSame = bucket.epoch === reply.epoch;
    this.#epochIs(shared, bucket, reply.epoch, reply.after);
    // fault: after a merge of one's own the cursor moves past what others changed
    if (isSame && reply.before === bucket.cursor) bucket.cursor = reply.after;
    bucket.seen = Math.max(bucket.seen, reply.after);
    for (const [i, merged] of reply.items.entries()) this.#takeItem(shared, bucket, items[i] as MergeItem, merged);
  }

  /** Looks for buckets that others changed, and at what. */
  async poll(shared: SharedPeriod): Promise<void> {
    const { counts, exchanges } = this.#parts;
    const buckets = shared.buckets.filter(({ isAway }) => !isAway);
    if (buckets.length === 0) throw new Error("no node of the cluster answers");
    const differing = await exchanges.run(
      () => counts.versions(buckets),
      (versions) => {
        buckets.forEach((bucket, i) => {
          bucket.isAway = versions[i] === undefined;
        });
        return buckets.filter((bucket, i) => !bucket.isAway && versions[i] !== bucket.version);
      },
    );
    if (differing.length > 0) await this.look(shared, differing);
  }

  /** Asks what changed in these buckets; it also shows whether they are still of the same run of the server. */
  async look(shared: SharedPeriod, buckets: readonly BucketState[]): Promise<void> {
    const asked = new Map<BucketState, string>();
    await this.#each(
      buckets,
      (bucket) => {
        asked.set(bucket, bucket.epoch);
        return this.#parts.counts.changed(bucket, bucket.epoch, bucket.cursor);
      },
      (bucket, changes) => this.#takeChanges(shared, bucket, asked.get(bucket) ?? "", changes),
    );
  }

  /** Whether Redis answers at all: one command, since commands to a server that hangs stay with the client. */
  async probe(): Promise<void> {
    const { counts, exchanges } = this.#parts;
    await exchanges.run(
      () => counts.versions(this.current().buckets.slice(0, 1)),
      () => {},
    );
  }

  /** The buckets that have rows here, or had, as far as they can be reached. */
  heldBuckets(shared: SharedPeriod): readonly BucketState[] {
    return shared.buckets.filter(({ epoch, isAway }) => epoch !== "" && !isAway);
  }

  /** Finds out which of those that were away answer again. Not in turn with exchanges: a node that hangs holds up nobody else. */
  async retryAway(): Promise<void> {
    const away = this.periods().flatMap(({ buckets }) => buckets.filter(({ isAway }) => isAway));
    if (away.length === 0 || this.#isRetrying) return;
    this.#isRetrying = true;
    const versions = await this.#parts.exchanges.inTime(() => this.#parts.counts.versions(away)).catch(() => []);
    away.forEach((bucket, i) => {
      bucket.isAway = versions[i] === undefined;
    });
    this.#isRetrying = false;
  }

  /** Whether the counts of a bucket's rows are where they should be: single keys can be lost, or come to be, unseen. */
  async sweep(shared: SharedPeriod, bucket: BucketState): Promise<void> {
    if (bucket.isAway) return;
    const { counts, exchanges, rows } = this.#parts;
    const all = this.#rowsOf(bucket).filter((row) => !shared.isDue(row) && !shared.isRefused(row));
    const names = all.map((row) => rows.nameOf(row));
    for (let start = 0; start < names.length; start += SWEPT_AT_ONCE) {
      const part = names.slice(start, start + SWEPT_AT_ONCE);
      await exchanges.run(
        () => counts.count(bucket, part),
        (found) => {
          const held = part.flatMap((name) => rows.find(name) ?? []);
          const expected = held.filter((row) => shared.exists(row)).length;
          if (found !== expected) for (const row of held) shared.apply(row, { kind: "changed" });
        },
      );
    }
  }

  /** What was refused is tried again. */
  retryRefused(): void {
    for (const shared of this.periods()) for (const row of shared.refused()) shared.apply(row, { kind: "retried" });
  }

  /** Whether all that a row has is shared, and nothing new of it is known to be there. */
  isInStep(row: number): boolean {
    return this.periods().every((shared) => {
      return !this.hop.isBehind(shared.cells, row) && !shared.isDue(row);
    });
  }

  /** The part of a tally's writer that nobody here has: what is shared less one's own, as one reply shows it. */
  learnRow(shared: SharedPeriod, row: number, merged: MergedItem, sent: readonly number[]): void {
    const { cells } = shared;
    this.hop.learn(
      cells,
      row,
      (place) => merged.sums[place] as number,
      (place) => merged.own[place] as number,
    );
    this.hop.confirm(cells, row, (place) => Math.max(merged.own[place] as number, sent[place] as number));
    shared.apply(row, { kind: "replied", exists: merged.exists, isWhole: merged.isWhole });
  }

  #takeItem(shared: SharedPeriod, bucket: BucketState, item: MergeItem, merged: MergedItem | Error): void {
    const row = this.#parts.rows.find(item.backend);
    if (row === undefined || this.#parts.tallies.writerOf(shared.cells, row) !== item.writer) return;
    if (merged instanceof Error) {
      const isNew = !shared.isRefused(row);
      shared.apply(row, { kind: "refused" });
      const { key } = shared.cells.period;
      if (isNew) this.#parts.emit({ kind: "refused", period: key, backend: item.backend, error: merged });
      return;
    }
    if (item.own.some((amount) => amount > 0)) bucket.owes = true;
    this.learnRow(shared, row, merged, item.own);
  }

  #takeChanges(shared: SharedPeriod, bucket: BucketState, asked: string, changes: Changes): void {
    const isNews = bucket.epoch !== changes.epoch;
    this.#epochIs(shared, bucket, changes.epoch, changes.version);
    // The names are those since the cursor, in the epoch that was asked about: of another one they say nothing.
    if (changes.epoch === "" || (asked !== "" && asked !== changes.epoch)) return;
    if (isNews && asked !== "") return;
    for (const backend of changes.backends) {
      const row = this.#parts.rows.find(backend);
      if (row !== undefined) shared.apply(row, { kind: "changed" });
    }
    bucket.cursor = Math.max(bucket.cursor, changes.version);
    bucket.seen = Math.max(bucket.seen, changes.version);
  }

  /** A bucket that began anew may have lost everything: it is pushed and looked at again. */
  #epochIs(shared: SharedPeriod, bucket: BucketState, epoch: string, version: number): void {
    if (bucket.epoch === epoch) return;
    const before = bucket.epoch;
    bucket.epoch = epoch;
    bucket.seen = version;
    // Seen for the first time: what is in it is asked for with the next look.
    bucket.cursor = before === "" ? 0 : version;
    if (before === "") return;
    const lost: string[] = [];
    for (const row of this.#rowsOf(bucket)) {
      if (shared.exists(row)) lost.push(this.#parts.rows.nameOf(row));
      // fault: a new epoch does not make the rows of the bucket be pushed again
      shared.apply(row, { kind: "renewed" });
      this.hop.forget(shared.cells, row);
    }
    if (lost.length > 0) this.#parts.emit({ kind: "lost", period: shared.cells.period.key, backends: lost });
  }

  /** None for a backend that was let go of meanwhile. */
  #itemOf(
    shared: SharedPeriod,
    backend: string,
    brought: ReadonlyMap<string, Brought> | undefined,
  ): readonly MergeItem[] {
    const { tallies, rows } = this.#parts;
    const { cells } = shared;
    const row = rows.find(backend);
    if (row === undefined) return [];
    const own = tallies.dimensions.map((_, place) => cells.mine(row * this.#size + place));
    return [{ backend, writer: tallies.writerOf(cells, row), own, ...brought?.get(backend) }];
  }

  #rowsOf({ number }: Bucket): readonly number[] {
    const { rows } = this.#parts;
    const found: number[] = [];
    for (let row = 0; row < rows.end; row++)
      if (rows.isUsed(row) && bucketOf(rows.nameOf(row)) === number) found.push(row);
    return found;
  }

  /** A call for each bucket. Rejects where one failed; but where they are on several nodes, some of which answer, others are away. */
  async #each<T>(
    buckets: readonly BucketState[],
    call: (bucket: BucketState) => Promise<T>,
    then: (bucket: BucketState, reply: T) => void,
  ): Promise<void> {
    if (buckets.length === 0) return;
    const failures = await this.#parts.exchanges.each(buckets, call, then);
    const [error] = failures.values();
    if (error !== undefined && !this.#parts.counts.isDivided) throw error;
    for (const bucket of failures.keys()) bucket.isAway = true;
  }
}

const SWEPT_AT_ONCE = 500;
