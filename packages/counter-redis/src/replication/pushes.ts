import type { Clock } from "@usage/counter-core";
import type { Rows, Tallies } from "@usage/counter-core/internal";
import { BUCKETS } from "../server/keys.ts";
import type { MergeItem, SharedCounts } from "../server/shared-counts.ts";
import { type BucketCalls, MERGES_AT_ONCE } from "./bucket-calls.ts";
import type { BucketState } from "./bucket-state.ts";
import type { Replication } from "./replication.ts";
import type { SharedPeriod } from "./shared-period.ts";

/** Merges in one exchange: others get their turn in between. */
const IN_A_ROW = 16;

/** What a merge of a row brings besides the own tally. */
export type Brought = Pick<MergeItem, "rows" | "mark">;

export interface PushesParts {
  readonly run: string;
  readonly rows: Rows;
  readonly tallies: Tallies;
  readonly clock: Clock;
  readonly counts: SharedCounts;
  readonly calls: BucketCalls;
  readonly replication: Replication;
}

/** Rows of one bucket. Until it is their turn, they may be other backends'. */
interface Batch {
  readonly bucket: BucketState;
  readonly rows: readonly number[];
}

/** Merges own tallies into the shared counts; each reply shows what others have there. */
export class Pushes {
  readonly #parts: PushesParts;

  constructor(parts: PushesParts) {
    this.#parts = parts;
  }

  /** Pushes what is not known to be shared, and what others changed. Rejects where Redis is away. */
  async pushDue(): Promise<void> {
    const { replication } = this.#parts;
    for (const shared of replication.periods()) {
      replication.slices.look(shared);
      await this.#send(shared, this.#due(shared));
    }
  }

  /**
   * Pushes these backends, as far as they are held.
   *
   * @param brought - What each of them brings besides.
   */
  async push(shared: SharedPeriod, brought: ReadonlyMap<string, Brought>): Promise<void> {
    const rows = [...brought.keys()].flatMap((backend) => this.#parts.rows.find(backend) ?? []);
    await this.#send(shared, this.#byBucket(shared, rows), brought);
  }

  /** What was refused is tried again. */
  retryRefused(): void {
    for (const shared of this.#parts.replication.periods()) {
      for (const row of shared.refused()) shared.apply(row, { kind: "retried" });
    }
  }

  /** Whether something that was counted here is not known to be shared. */
  isAnythingLeft(): boolean {
    const { replication } = this.#parts;
    return replication.periods().some(({ cells }) => replication.hop.due(cells).length > 0);
  }

  /** By bucket; without a copy of them all, since there may be many. */
  #due(shared: SharedPeriod): readonly (readonly number[])[] {
    const { hop } = this.#parts.replication;
    const behind = hop.due(shared.cells);
    const changed = shared.due();
    if (behind.length === 0 && changed.length === 0) return [];
    const { due } = hop.of(shared.cells);
    const byBucket = this.#byBucket(shared, behind, (row) => shared.isDue(row) || !shared.isRefused(row));
    return this.#byBucket(shared, changed, (row) => !due.has(row), byBucket);
  }

  #byBucket(
    shared: SharedPeriod,
    rows: readonly number[],
    isMeant: (row: number) => boolean = () => true,
    byBucket: number[][] = Array.from({ length: BUCKETS }, () => []),
  ): number[][] {
    const { replication } = this.#parts;
    for (const row of rows) if (isMeant(row)) byBucket[replication.bucketOf(shared, row).number]?.push(row);
    return byBucket;
  }

  async #send(
    shared: SharedPeriod,
    byBucket: readonly (readonly number[])[],
    brought?: ReadonlyMap<string, Brought>,
  ): Promise<void> {
    const { counts, calls, replication, run, clock } = this.#parts;
    const batches = this.#batchesOf(shared, byBucket);
    const sent = new Map<Batch, { readonly items: readonly MergeItem[]; readonly atMs: number }>();
    for (let start = 0; start < batches.length; start += IN_A_ROW) {
      await calls.each(
        batches.slice(start, start + IN_A_ROW),
        (batch) => {
          // Made when it is sent: what was counted meanwhile is in it.
          const items = this.#itemsOf(shared, batch, brought);
          sent.set(batch, { items, atMs: clock.elapsed() });
          return counts.merge(batch.bucket, run, items);
        },
        (batch, reply) => {
          const { items, atMs } = sent.get(batch) as { readonly items: readonly MergeItem[]; readonly atMs: number };
          replication.take(shared, batch.bucket, items, reply, atMs);
        },
        ({ bucket, rows }, error) => {
          const refused = rows.filter((row) => this.#isOf(bucket, shared, row));
          replication.refuse(shared, refused, error);
        },
        MERGES_AT_ONCE,
      );
      sent.clear();
    }
  }

  /** Parts of each bucket: a call is about one. */
  #batchesOf(shared: SharedPeriod, byBucket: readonly (readonly number[])[]): readonly Batch[] {
    const { batchSize } = this.#parts.counts;
    return byBucket.flatMap((all, number) => {
      const bucket = shared.buckets[number] as BucketState;
      const batches: Batch[] = [];
      for (let start = 0; start < all.length && !bucket.isAway; start += batchSize) {
        batches.push({ bucket, rows: all.slice(start, start + batchSize) });
      }
      return batches;
    });
  }

  #itemsOf(
    shared: SharedPeriod,
    { bucket, rows }: Batch,
    brought: ReadonlyMap<string, Brought> | undefined,
  ): readonly MergeItem[] {
    const { tallies, rows: names, replication } = this.#parts;
    const { cells } = shared;
    const size = tallies.dimensions.length;
    return rows
      .filter((row) => this.#isOf(bucket, shared, row))
      .map((row) => {
        const backend = names.nameOf(row);
        const own = tallies.dimensions.map((_, place) => cells.mine(row * size + place));
        const saying = replication.slices.sayingOf(shared, row);
        return { backend, writer: tallies.writerOf(cells, row), own, ...saying, ...brought?.get(backend) };
      });
  }

  /** Whether a row is still one of this bucket: it may have been let go of meanwhile. */
  #isOf(bucket: BucketState, shared: SharedPeriod, row: number): boolean {
    const { rows, replication } = this.#parts;
    return rows.isUsed(row) && replication.bucketOf(shared, row) === bucket;
  }
}
