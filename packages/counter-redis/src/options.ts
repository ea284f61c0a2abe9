import type { LocalCounterOptions, StorageDimension } from "@usage/counter-core";
import type { RedisClient } from "./server/redis-client.ts";

/** How often counts are exchanged, and when that is given up. */
export interface ReplicationOptions {
  /** The least time between two pushes, in milliseconds. @default 25 */
  readonly syncIntervalMs?: number;
  /** The least time between two looks at what others changed, in milliseconds. @default 50, on a cluster 100 */
  readonly pollIntervalMs?: number;
  /** The time in which every backend is looked for once, since single keys can be lost unseen, in milliseconds. @default 60_000 */
  readonly sweepIntervalMs?: number;
  /** The longest wait for one reply, in milliseconds. @default 1_000 */
  readonly pushTimeoutMs?: number;
  /** Rounds that may fail in a row before it stops trying. @default 3 */
  readonly failureThreshold?: number;
  /** The time between two probes then, in milliseconds; also between two attempts at refused counts. @default 1_000 */
  readonly probeIntervalMs?: number;
}

/** The same dimensions and periods on every instance. */
export interface RedisCounterOptions<D extends string = StorageDimension>
  extends LocalCounterOptions<D>,
    ReplicationOptions {
  /** Backends that are there from the start; others are held by `ensure`. @default none */
  readonly backends?: Iterable<string>;
}

export interface RedisConnectOptions<D extends string = StorageDimension> extends RedisCounterOptions<D> {
  /** An ioredis `Redis` or `Cluster`; it stays yours to close. Give it a connection of its own. */
  readonly client: RedisClient;
  /** Begins every key. @default "usage" */
  readonly prefix?: string;
}
