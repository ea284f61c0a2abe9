import type { Period } from "@usage/counter-core";
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
