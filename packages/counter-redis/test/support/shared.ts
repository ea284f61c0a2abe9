import type { Period } from "@usage/counter-core";
import type { SharedCounts } from "@usage/counter-redis";
import type { Cluster, Redis } from "ioredis";
import { BucketKeys, bucketOf } from "../../src/server/keys.ts";

/** The keys of the bucket that a backend is in. */
export function keysOf(prefix: string, period: string, backend: string): BucketKeys {
  return new BucketKeys(prefix, { period: periodOf(period), number: bucketOf(backend) });
}

/** The key of a backend's shared counts. */
export function countsKey(prefix: string, period: string, backend: string): string {
  return keysOf(prefix, period, backend).counts(backend);
}

/** What is shared of one dimension, over all writers. */
export async function sharedSum(redis: Redis | Cluster, key: string, dimension = "apiRequests"): Promise<number> {
  const [dimensions, sums] = await redis.hmget(key, ":d", ":s");
  const at = (dimensions ?? "").split(" ").indexOf(dimension);
  return Number((sums ?? "").split(" ")[at] ?? 0);
}

/** A period that keys can be made of. */
export function periodOf(key: string): Period {
  return { key, start: 0, end: Date.now() + 86_400_000 };
}

/** These shared counts, but for what is done in another way. */
export function over(counts: SharedCounts, other: Partial<SharedCounts>): SharedCounts {
  const { batchSize, isDivided } = counts;
  return {
    batchSize,
    isDivided,
    merge: (...args) => counts.merge(...args),
    versions: (...args) => counts.versions(...args),
    changed: (...args) => counts.changed(...args),
    count: (...args) => counts.count(...args),
    owing: (...args) => counts.owing(...args),
    changedSince: (...args) => counts.changedSince(...args),
    tallies: (...args) => counts.tallies(...args),
    report: (...args) => counts.report(...args),
    oweAll: (...args) => counts.oweAll(...args),
    ripen: (...args) => counts.ripen(...args),
    forgive: (...args) => counts.forgive(...args),
    forget: (...args) => counts.forget(...args),
    ...other,
  };
}
