export type { EnforcementOptions, RedisConnectOptions, RedisCounterOptions, ReplicationOptions } from "./options.ts";
export { RedisCounterBackend } from "./redis-counter.ts";
export type {
  Cautioned,
  FailedChore,
  ForgivenSlice,
  LostCounts,
  RedisEvent,
  RefusedCounts,
  Unhealthy,
} from "./replication/events.ts";
export type { Forgiven, ForgiveOptions } from "./replication/forgiving.ts";
export type { BoundStore, ClaimOpened } from "./replication/store-access.ts";
export { NotConnectedError, PushTimeoutError, RedisConnectError, RefusedCountsError } from "./server/errors.ts";
export { type Bucket, bucketOf } from "./server/keys.ts";
export { type RedisClient, recommendedClientOptions, recommendedClusterOptions } from "./server/redis-client.ts";
export { RedisSharedCounts, type RedisSharedCountsOptions } from "./server/redis-shared-counts.ts";
export type {
  Ask,
  Changes,
  ForgivenAmounts,
  MergedItem,
  MergedSlices,
  MergeItem,
  MergeReply,
  Owed,
  Owing,
  Pair,
  ReadReply,
  SharedCounts,
  Silent,
  StoredUpTo,
} from "./server/shared-counts.ts";
