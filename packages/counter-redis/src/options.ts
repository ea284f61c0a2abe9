import type { LocalCounterOptions, StorageDimension } from "@usage/counter-core";
import type { ClaimOpened } from "./replication/store-access.ts";
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

/** What limits mean where several instances share them. */
export interface EnforcementOptions {
  /**
   * `exact`: no limit is passed, whatever fails; what may be used is asked for before. `approximate`: a limit may be passed by what
   * instances use before they have heard of each other. The same on every instance. @default "approximate"
   */
  readonly enforcement?: "exact" | "approximate";
  /** How long an instance that is cut off from Redis goes on with what it may use, in milliseconds. @default 10_000 */
  readonly leaseMs?: number;
  /**
   * After how long without a word of it an instance is taken for dead, in milliseconds, besides a lease: what its slice and its holds
   * keep from others is then given to them, and a limit may be passed by as much. @default never
   */
  readonly forgiveAfterMs?: number;
  /**
   * Notes once for all instances which buckets were opened, so that a new one can be used at once; else its first use takes 1.05
   * leases. @default in the tracker's store, where that keeps marks
   */
  readonly claim?: ClaimOpened;
}

/** @throws RangeError for an `enforcement` that there is not. */
export function isExactBy({ enforcement = "approximate" }: EnforcementOptions): boolean {
  if (["exact", "approximate"].includes(enforcement)) return enforcement === "exact";
  throw new RangeError(`enforcement must be "exact" or "approximate", got ${JSON.stringify(enforcement)}`);
}

/** The same dimensions and periods on every instance. */
export interface RedisCounterOptions<D extends string = StorageDimension>
  extends LocalCounterOptions<D>,
    ReplicationOptions,
    EnforcementOptions {
  /** Backends that are there from the start; others are held by `ensure`. @default none */
  readonly backends?: Iterable<string>;
}

export interface RedisConnectOptions<D extends string = StorageDimension> extends RedisCounterOptions<D> {
  /** An ioredis `Redis` or `Cluster`; it stays yours to close. Give it a connection of its own. */
  readonly client: RedisClient;
  /** Begins every key. @default "usage" */
  readonly prefix?: string;
}
