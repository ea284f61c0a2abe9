import { type Clock, type ReadRows, type Tally, UnknownUsageError } from "@usage/counter-core";
import { bucketOf } from "../server/keys.ts";
import type { MergedItem, MergeItem, SharedCounts } from "../server/shared-counts.ts";
import { type BucketCalls, MERGES_AT_ONCE } from "./bucket-calls.ts";
import type { BucketState } from "./bucket-state.ts";
import type { Replication } from "./replication.ts";
import type { SharedPeriod } from "./shared-period.ts";

export interface RecallParts {
  readonly run: string;
  readonly dimensions: readonly string[];
  readonly counts: SharedCounts;
  readonly calls: BucketCalls;
  readonly replication: Replication;
  readonly isSharing: () => boolean;
  readonly clock: Clock;
  /** Whether what is held must be whole at once: before that, no slice of it is granted. */
  readonly isExact: boolean;
}

/** What is known of a backend that is not held; undefined where Redis or the store could not be asked. */
export interface Recalled {
  readonly merged: MergedItem | undefined;
  readonly rows: readonly Tally[] | undefined;
}

type Bring = (name: string) => Pick<MergeItem, "rows" | "mark">;

/** Finds out what Redis and the store know of backends that are to be held. */
export class Recall {
  readonly #parts: RecallParts;

  constructor(parts: RecallParts) {
    this.#parts = parts;
  }

  /**
   * Asks Redis and the store at once. One of them is enough.
   *
   * @throws UnknownUsageError for those of which neither could tell, unless such backends are admitted.
   */
  async ask(
    shared: SharedPeriod,
    names: readonly string[],
    read: ReadRows,
    whenUnknown: "reject" | "admit",
  ): Promise<(name: string) => Recalled> {
    const { isExact } = this.#parts;
    const epochsNow = (): string[] => shared.buckets.map(({ epoch }) => epoch);
    let epochs = epochsNow();
    // fault: asks Redis alone for what is to be held
    const [looked, stored] = await Promise.allSettled([
      this.#look(shared, names),
      read(shared.cells.period.key, names),
    ]);
    const found = looked.status === "fulfilled" ? looked.value : new Map<string, MergedItem>();
    if (stored.status === "rejected") {
      const unknown = names.filter((name) => !found.has(name));
      if (unknown.length > 0 && whenUnknown !== "admit") throw new UnknownUsageError(unknown, stored.reason);
      return (name) => ({ merged: found.get(name), rows: undefined });
    }
    let rows = stored.value;
    const isOther = (name: string): boolean => {
      return found.has(name) && epochs[bucketOf(name)] !== shared.buckets[bucketOf(name)]?.epoch;
    };
    if (isExact && names.some(isOther)) {
      // What was read before an epoch was known may lack what was stored before it began.
      const seen = epochsNow();
      const again = await read(shared.cells.period.key, names).catch(() => undefined);
      if (again !== undefined) [epochs, rows] = [seen, again];
    }
    const byName = Map.groupBy(rows, ({ backend }) => backend);
    // Where something was lost, only both together are all that is known; where all was, others shall have it at once.
    const lacking = names.filter((name) => {
      const item = found.get(name);
      return item !== undefined && !item.isWhole && (isExact || item.exists || byName.has(name));
    });
    const bring: Bring = (name) => ({ rows: byName.get(name) ?? [], mark: epochs[bucketOf(name)] ?? "" });
    const whole = await this.#look(shared, lacking, bring).catch(() => new Map<string, MergedItem>());
    for (const [name, item] of whole) found.set(name, item);
    return (name) => ({ merged: found.get(name), rows: byName.get(name) ?? [] });
  }

  /** Takes over what Redis showed of a backend that is held now. */
  takeUp(shared: SharedPeriod, backend: string, row: number, merged: MergedItem): void {
    const { run: writer, dimensions, replication } = this.#parts;
    const nothing = dimensions.map(() => 0);
    const none = dimensions.map(() => ({ granted: 0, returned: 0, forgiven: 0 }));
    // What is there under the run's own name is this row's only where it counts on under that name.
    const isOwn = shared.cells.generations.of(row) === 0;
    const own = isOwn ? merged.own : nothing;
    const slices = merged.slices && { ...merged.slices, pairs: isOwn ? merged.slices.pairs : none };
    replication.learnRow(shared, row, merged, own, nothing);
    replication.slices.takeUp(shared, row, { backend, writer, own }, { ...merged, own, ...(slices && { slices }) });
    // Whatever happened since it was asked for is found with the next push.
    // fault: trusts what it was told before it held a backend
    shared.apply(row, { kind: "changed" });
  }

  /** What is shared of them, merged with what is brought; without those that cannot be used. Rejects where Redis is away. */
  async #look(
    shared: SharedPeriod,
    names: readonly string[],
    bring: Bring = () => ({}),
  ): Promise<Map<string, MergedItem>> {
    const { run, counts, calls, replication, dimensions, isSharing, clock } = this.#parts;
    const found = new Map<string, MergedItem>();
    if (names.length === 0) return found;
    if (!isSharing()) throw new Error("Redis is away");
    const own = dimensions.map(() => 0);
    const batches: { readonly bucket: BucketState; readonly items: readonly MergeItem[]; sentAtMs: number }[] = [];
    for (const [number, all] of Map.groupBy(names, bucketOf)) {
      const bucket = shared.buckets[number] as BucketState;
      for (let start = 0; start < all.length; start += counts.batchSize) {
        const items = all
          .slice(start, start + counts.batchSize)
          .map((backend) => ({ backend, writer: run, own, ...bring(backend) }));
        batches.push({ bucket, items, sentAtMs: 0 });
      }
    }
    await calls.each(
      batches,
      (batch) => {
        batch.sentAtMs = clock.elapsed();
        return counts.merge(batch.bucket, run, batch.items);
      },
      ({ bucket, items, sentAtMs }, reply) => {
        replication.take(shared, bucket, items, reply, sentAtMs);
        reply.items.forEach((item, i) => {
          if (!(item instanceof Error)) found.set((items[i] as MergeItem).backend, item);
        });
      },
      () => {},
      MERGES_AT_ONCE,
    );
    return found;
  }
}
