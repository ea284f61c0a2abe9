import type { Clock, PeriodScheme, ReadRows } from "@usage/counter-core";
import type { Rows } from "@usage/counter-core/internal";
import { bucketOf } from "../server/keys.ts";
import type { MergeItem, MergeReply, SharedCounts } from "../server/shared-counts.ts";
import { Attempts } from "./attempts.ts";
import { type BucketCalls, MERGES_AT_ONCE } from "./bucket-calls.ts";
import type { BucketState } from "./bucket-state.ts";
import { OpenedPeriod } from "./opened-period.ts";
import type { Replication } from "./replication.ts";
import type { Ripening } from "./ripening.ts";
import type { StoreAccess } from "./store-access.ts";

/** How long before a period ends the next one is opened, in leases: it becomes ripe after one at the latest. */
const AHEAD = 2;
/** How often it is looked at whether something is to be opened, in milliseconds. */
const LOOK_MS = 250;

export interface NextPeriodParts {
  readonly run: string;
  /** The number of dimensions. */
  readonly size: number;
  readonly rows: Rows;
  readonly scheme: PeriodScheme;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly counts: SharedCounts;
  readonly calls: BucketCalls;
  readonly replication: Replication;
  readonly ripening: Ripening;
  readonly store: StoreAccess;
}

interface Batch {
  readonly bucket: BucketState;
  readonly items: readonly MergeItem[];
}

/** Opens the next period for what is in use, some time before it begins: its first requests shall not wait until it is ripe. */
export class NextPeriod {
  readonly #parts: NextPeriodParts;
  readonly #reads: Attempts;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: NextPeriodParts) {
    this.#parts = parts;
    this.#reads = new Attempts(parts.clock);
  }

  /** Rejects where Redis is away. */
  async work(): Promise<void> {
    const { scheme, clock, leaseMs, replication, ripening, store } = this.#parts;
    const current = replication.current();
    const { end } = current.cells.period;
    // fault: opens a period when it has begun
    if (clock.now() < end - AHEAD * leaseMs) return;
    if (clock.elapsed() - this.#lookedAtMs < LOOK_MS) return;
    this.#lookedAtMs = clock.elapsed();
    let { next } = replication;
    if (next?.period.start !== end) {
      next = new OpenedPeriod(scheme.at(end));
      replication.next = next;
    }
    const used = replication.slices.activeRows(current).map((row) => this.#parts.rows.nameOf(row));
    const unready = used.filter((backend) => !next.isReady(backend));
    if (unready.length === 0) return;
    await this.#merge(next, unready);
    const unwhole = unready.filter((backend) => next.known.get(backend)?.isWhole === false);
    const { read } = store;
    if (read !== undefined && unwhole.length > 0) void this.#reads.run(() => this.#bring(next, unwhole, read));
    await ripening.work([...new Set(unready.map((backend) => next.bucketOf(backend)))], (bucket) => bucket.ripe(true));
  }

  /** The epochs are those from before the rows are read. */
  async #bring(next: OpenedPeriod, backends: readonly string[], read: ReadRows): Promise<void> {
    const epochs = new Map(backends.map((backend) => [backend, next.bucketOf(backend).epoch]));
    const byBackend = Map.groupBy(await read(next.period.key, backends), ({ backend }) => backend);
    await this.#merge(next, backends, (backend) => {
      return { rows: byBackend.get(backend) ?? [], mark: epochs.get(backend) ?? "" };
    });
  }

  /** Nothing is counted there yet: it opens the bucket, and shows what there is. */
  async #merge(
    next: OpenedPeriod,
    backends: readonly string[],
    bring: (backend: string) => Pick<MergeItem, "rows" | "mark"> = () => ({}),
  ): Promise<void> {
    const { run, size, counts, calls } = this.#parts;
    const own = Array.from({ length: size }, () => 0);
    const pairs = own.map(() => ({ granted: 0, returned: 0, forgiven: 0 }));
    const batches: Batch[] = [];
    for (const [number, names] of Map.groupBy(backends, bucketOf)) {
      const bucket = next.buckets[number] as BucketState;
      for (let start = 0; start < names.length; start += counts.batchSize) {
        const some = names.slice(start, start + counts.batchSize);
        batches.push({
          bucket,
          items: some.map((backend) => ({ backend, writer: run, own, pairs, ...bring(backend) })),
        });
      }
    }
    await calls.each(
      batches,
      ({ bucket, items }) => counts.merge(bucket, run, items),
      ({ bucket, items }, reply) => this.#take(next, bucket, items, reply),
      () => {},
      MERGES_AT_ONCE,
    );
  }

  #take(next: OpenedPeriod, bucket: BucketState, items: readonly MergeItem[], reply: MergeReply): void {
    const { replication, clock } = this.#parts;
    // Once it has begun, what is known of it is kept there.
    if (replication.next !== next) return;
    if (bucket.epoch !== reply.epoch) {
      for (const backend of next.known.keys()) if (next.bucketOf(backend) === bucket) next.known.delete(backend);
      bucket.begin(reply.epoch, clock.elapsed());
    }
    for (const [i, merged] of reply.items.entries()) {
      if (merged instanceof Error) continue;
      next.known.set((items[i] as MergeItem).backend, merged);
      if (merged.slices !== undefined) bucket.ripe(merged.slices.isRipe);
    }
  }
}
