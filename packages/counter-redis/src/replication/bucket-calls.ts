import { RefusedCountsError } from "../server/errors.ts";
import { BUCKETS } from "../server/keys.ts";
import type { SharedCounts } from "../server/shared-counts.ts";
import type { BucketState } from "./bucket-state.ts";
import type { Exchanges } from "./exchanges.ts";

/** Merges that are under way at once: Redis has always something to do, and little has to be done here at a time. */
export const MERGES_AT_ONCE = 4;

/**
 * Calls that are each about one bucket. One that cannot be used holds up no other, and neither does one on a node of a cluster
 * that is away: it is not asked again until it answers. Where Redis is no cluster, one that is away means that all are.
 */
export class BucketCalls {
  readonly #counts: SharedCounts;
  readonly #exchanges: Exchanges;

  constructor(counts: SharedCounts, exchanges: Exchanges) {
    this.#counts = counts;
    this.#exchanges = exchanges;
  }

  /**
   * A call for each, some of them at once. Rejects where Redis is away.
   *
   * @param refused - Is told where a bucket cannot be used.
   */
  async each<B extends { readonly bucket: BucketState }, T>(
    list: readonly B[],
    call: (one: B) => Promise<T>,
    then: (one: B, reply: T) => void,
    refused: (one: B, error: RefusedCountsError) => void,
    atOnce: number = BUCKETS,
  ): Promise<void> {
    const { isDivided } = this.#counts;
    let outage: { readonly error: unknown } | undefined;
    await this.#exchanges.each(
      list,
      async (one) => {
        // Each of those that are left would wait in vain as well.
        if (outage !== undefined && !isDivided) throw outage.error;
        if (one.bucket.isAway) throw new Error("a node of the cluster is away");
        return call(one);
      },
      then,
      (one, error) => {
        if (error instanceof RefusedCountsError) return refused(one, error);
        outage ??= { error };
        if (isDivided) one.bucket.isAway = true;
      },
      atOnce,
    );
    if (outage !== undefined && !isDivided) throw outage.error;
  }
}
