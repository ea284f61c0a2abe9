import type { Clock } from "@usage/counter-core";
import type { SharedCounts } from "../server/shared-counts.ts";
import { Attempts } from "./attempts.ts";
import type { BucketCalls } from "./bucket-calls.ts";
import type { BucketState } from "./bucket-state.ts";
import { outlasting } from "./leases.ts";
import type { ClaimOpened, StoreAccess } from "./store-access.ts";

export interface RipeningParts {
  readonly counts: SharedCounts;
  readonly calls: BucketCalls;
  readonly clock: Clock;
  readonly leaseMs: number;
  /** Where none is noted, buckets become ripe by waiting alone. */
  readonly store: StoreAccess;
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
  readonly #claims: Attempts;

  constructor(parts: RipeningParts) {
    this.#parts = parts;
    this.#claims = new Attempts(parts.clock);
  }

  /**
   * Rejects where Redis is away.
   *
   * @param buckets - Those of one period that are used.
   */
  async work(buckets: readonly BucketState[], ripened: (bucket: BucketState) => void): Promise<void> {
    const { counts, calls, store } = this.#parts;
    const { claim } = store;
    const known = buckets.filter((bucket) => bucket.epoch !== "" && !bucket.isAway);
    // Also those that are ripe: whoever made them so may have had no store then.
    const unclaimed = known.filter((bucket) => !this.#claimed.has(bucket));
    if (claim !== undefined && unclaimed.length > 0) {
      void this.#claims.run(() => this.#claim(unclaimed, claim));
    }
    await calls.each(
      known.filter((bucket) => this.#isReady(bucket)).map((bucket) => ({ bucket, epoch: bucket.epoch })),
      ({ bucket, epoch }) => counts.ripen(bucket, epoch),
      ({ bucket, epoch }) => {
        if (bucket.epoch === epoch) ripened(bucket);
      },
      () => {},
    );
  }

  #isReady(bucket: BucketState): boolean {
    const { clock, leaseMs, store } = this.#parts;
    if (bucket.isRipe) return false;
    // fault: whoever opened a bucket makes it ripe whatever it has lost since
    if (this.#born.get(bucket) === bucket.epoch) return true;
    // Else somebody could note the opening for the first time later, when slices are out.
    if (store.claim !== undefined && !this.#claimed.has(bucket)) return false;
    // fault: slices are granted at once where some may be missing
    return clock.elapsed() - bucket.seenAtMs >= outlasting(leaseMs);
  }

  async #claim(buckets: readonly BucketState[], claim: ClaimOpened): Promise<void> {
    const epochs = new Map(buckets.map((bucket) => [bucket, bucket.epoch]));
    const numbers = buckets.map(({ number }) => number);
    const opened = new Set(await claim(buckets[0]?.period.key ?? "", numbers));
    for (const [bucket, epoch] of epochs) {
      this.#claimed.add(bucket);
      // Where slices were granted before, somebody had noted nothing, or the store has lost it.
      // fault: takes a bucket that was ripe before for one that nobody had opened
      if (opened.has(bucket.number) && !bucket.wasRipe) this.#born.set(bucket, epoch);
    }
  }
}
