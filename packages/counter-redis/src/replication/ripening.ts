import type { Clock } from "@usage/counter-core";
import type { SharedCounts } from "../server/shared-counts.ts";
import type { BucketCalls } from "./bucket-calls.ts";
import type { ClaimOpened, Openings } from "./openings.ts";
import type { Replication } from "./replication.ts";
import type { BucketState, SharedPeriod } from "./shared-period.ts";

/** How much longer than a lease: clocks do not run alike. */
const MARGIN = 1.05;
const RETRY_MS = 1_000;
/** A store that has not answered for so long is asked again, in milliseconds. What it answers later counts all the same. */
const PATIENCE_MS = 5_000;

export interface RipeningParts {
  readonly counts: SharedCounts;
  readonly calls: BucketCalls;
  readonly replication: Replication;
  readonly clock: Clock;
  readonly leaseMs: number;
  /** Where none is noted, buckets become ripe by waiting alone. */
  readonly openings: Openings;
}

/**
 * Makes buckets ripe: from then on slices are granted there, since nobody can have one that is not known.
 *
 * | a bucket's epoch | is ripe |
 * | ---------------- | ------- |
 * | is the one that was seen before its opening was noted in the store, by us and for the first time | at once: nobody ever had a slice there |
 * | is any other | after longer than a lease: whoever has a slice has said so again, or has stopped using it |
 */
export class Ripening {
  readonly #parts: RipeningParts;
  /** Those whose opening is noted, and of those that we noted first, the epoch that was seen before. */
  readonly #claimed = new WeakSet<BucketState>();
  readonly #born = new WeakMap<BucketState, string>();
  #claimAgainAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: RipeningParts) {
    this.#parts = parts;
  }

  /** Rejects where Redis is away. */
  async work(shared: SharedPeriod): Promise<void> {
    const { counts, calls, replication, openings } = this.#parts;
    const { claim } = openings;
    const unripe = shared.buckets.filter((bucket) => {
      return bucket.epoch !== "" && !bucket.isRipe && !bucket.isAway && replication.rowsOf(bucket).length > 0;
    });
    if (unripe.length === 0) return;
    const unclaimed = unripe.filter((bucket) => !this.#claimed.has(bucket));
    if (claim !== undefined && unclaimed.length > 0) void this.#claim(shared, unclaimed, claim);
    const ready = unripe.filter((bucket) => this.#isReady(bucket)).map((bucket) => ({ bucket, epoch: bucket.epoch }));
    await calls.each(
      ready,
      ({ bucket, epoch }) => counts.ripen(bucket, epoch),
      ({ bucket, epoch }) => {
        if (bucket.epoch === epoch) replication.slices.ripened(shared, bucket);
      },
      () => {},
    );
  }

  #isReady(bucket: BucketState): boolean {
    const { clock, leaseMs, openings } = this.#parts;
    if (this.#born.get(bucket) === bucket.epoch) return true;
    // Else somebody could note the opening for the first time later, when slices are out.
    if (openings.claim !== undefined && !this.#claimed.has(bucket)) return false;
    // fault: slices are granted at once where some may be missing
    return clock.elapsed() - bucket.seenAtMs >= MARGIN * leaseMs;
  }

  /** Not in turn with exchanges: a store that hangs holds up nothing. */
  async #claim(shared: SharedPeriod, buckets: readonly BucketState[], claim: ClaimOpened): Promise<void> {
    const { clock } = this.#parts;
    if (clock.elapsed() < this.#claimAgainAtMs) return;
    // fault: waits for a claim of slices that is never answered
    this.#claimAgainAtMs = clock.elapsed() + PATIENCE_MS;
    const epochs = new Map(buckets.map((bucket) => [bucket, bucket.epoch]));
    const numbers = buckets.map(({ number }) => number);
    try {
      const opened = new Set(await claim(shared.cells.period.key, numbers));
      for (const [bucket, epoch] of epochs) {
        this.#claimed.add(bucket);
        if (opened.has(bucket.number)) this.#born.set(bucket, epoch);
      }
      this.#claimAgainAtMs = Number.NEGATIVE_INFINITY;
    } catch {
      // It is noted later; until then the buckets are not ripe.
      this.#claimAgainAtMs = clock.elapsed() + RETRY_MS;
    }
  }
}
