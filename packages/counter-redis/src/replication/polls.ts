import type { Clock } from "@usage/counter-core";
import type { Rows } from "@usage/counter-core/internal";
import type { SharedCounts } from "../server/shared-counts.ts";
import type { BucketCalls } from "./bucket-calls.ts";
import type { BucketState } from "./bucket-state.ts";
import type { Exchanges } from "./exchanges.ts";
import type { Replication } from "./replication.ts";
import type { SharedPeriod } from "./shared-period.ts";

/** Keys in one command of a sweep. */
const SWEPT_AT_ONCE = 500;

export interface PollsParts {
  readonly rows: Rows;
  readonly clock: Clock;
  readonly counts: SharedCounts;
  readonly exchanges: Exchanges;
  readonly calls: BucketCalls;
  readonly replication: Replication;
}

/** Finds out what others changed, and what was lost: what is to be pushed for that is due then. */
export class Polls {
  readonly #parts: PollsParts;
  #isRetrying = false;

  constructor(parts: PollsParts) {
    this.#parts = parts;
  }

  /** Looks for buckets that others changed, by one short text for each; then at what. */
  async poll(shared: SharedPeriod): Promise<void> {
    const { counts, exchanges, clock, replication } = this.#parts;
    const buckets = shared.buckets.filter(({ isAway }) => !isAway);
    if (buckets.length === 0) throw new Error("no node of the cluster answers");
    let sentAtMs = 0;
    const differing = await exchanges.run(
      () => {
        sentAtMs = clock.elapsed();
        return counts.versions(buckets);
      },
      (versions) => {
        buckets.forEach((bucket, i) => {
          bucket.isAway = versions[i] === undefined;
          const isSame = bucket.epoch !== "" && versions[i] === bucket.version;
          if (isSame) replication.slices.served(shared, bucket, sentAtMs);
        });
        return buckets.filter((bucket, i) => !bucket.isAway && versions[i] !== bucket.version);
      },
    );
    if (differing.length > 0) await this.look(shared, differing);
  }

  /** Asks what changed in these buckets; it also shows whether they are still of the same run of the server. */
  async look(shared: SharedPeriod, buckets: readonly BucketState[]): Promise<void> {
    const { counts, calls, replication, clock } = this.#parts;
    const asked = new Map<BucketState, { readonly epoch: string; readonly atMs: number }>();
    await calls.each(
      buckets.map((bucket) => ({ bucket })),
      ({ bucket }) => {
        asked.set(bucket, { epoch: bucket.epoch, atMs: clock.elapsed() });
        return counts.changed(bucket, bucket.epoch, bucket.cursor);
      },
      ({ bucket }, changes) => {
        const { epoch, atMs } = asked.get(bucket) as { readonly epoch: string; readonly atMs: number };
        replication.takeChanges(shared, bucket, epoch, changes, atMs);
      },
      ({ bucket }, error) => replication.refuse(shared, replication.rowsOf(bucket), error),
    );
  }

  /** `look` at all buckets that were ever seen, where nothing seems to have changed, too: the server may be another one now. */
  async lookAtAll(shared: SharedPeriod): Promise<void> {
    await this.look(
      shared,
      shared.buckets.filter(({ epoch, isAway }) => epoch !== "" && !isAway),
    );
  }

  /** Whether the counts of a bucket's rows are where they should be: single keys can be lost, or come to be, unseen. */
  async sweep(shared: SharedPeriod, bucket: BucketState): Promise<void> {
    if (bucket.isAway) return;
    const { counts, calls, replication, rows } = this.#parts;
    const all = replication.rowsOf(bucket).filter((row) => !shared.isDue(row) && !shared.isRefused(row));
    const names = all.map((row) => rows.nameOf(row));
    const parts: { readonly bucket: BucketState; readonly names: readonly string[] }[] = [];
    for (let start = 0; start < names.length; start += SWEPT_AT_ONCE) {
      parts.push({ bucket, names: names.slice(start, start + SWEPT_AT_ONCE) });
    }
    await calls.each(
      parts,
      (part) => counts.count(bucket, part.names),
      (part, found) => {
        const held = part.names.flatMap((name) => rows.find(name) ?? []);
        const expected = held.filter((row) => shared.exists(row)).length;
        // fault: nobody looks whether single hashes are still there
        if (found !== expected) for (const row of held) shared.apply(row, { kind: "changed" });
      },
      // Whoever pushes to them finds out which.
      ({ names }) => {
        for (const row of names.flatMap((name) => rows.find(name) ?? [])) shared.apply(row, { kind: "changed" });
      },
    );
  }

  /**
   * Whether Redis answers at all: one command, since commands to a server that hangs stay with the client; in a cluster, one for each
   * bucket, since any node may be the one that answers. Rejects where none does.
   */
  async probe(): Promise<void> {
    const { counts, exchanges, replication } = this.#parts;
    const { buckets } = replication.current();
    const { isDivided } = counts;
    // fault: takes one node of a cluster for all of them
    const asked = isDivided ? buckets : buckets.slice(0, 1);
    await exchanges.run(
      () => counts.versions(asked),
      (versions) => {
        if (isDivided) for (const [i, bucket] of asked.entries()) bucket.isAway = versions[i] === undefined;
      },
    );
  }

  /** Finds out which of those that were away answer again. Not in turn with exchanges: a node that hangs holds up nobody else. */
  async retryAway(): Promise<void> {
    const { counts, exchanges, replication } = this.#parts;
    const away = replication.periods().flatMap(({ buckets }) => buckets.filter(({ isAway }) => isAway));
    if (away.length === 0 || this.#isRetrying) return;
    this.#isRetrying = true;
    const versions = await exchanges.inTime(() => counts.versions(away)).catch(() => []);
    away.forEach((bucket, i) => {
      bucket.isAway = versions[i] === undefined;
    });
    this.#isRetrying = false;
  }
}
