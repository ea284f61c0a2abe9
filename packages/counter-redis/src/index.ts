export type { RedisConnectOptions, RedisCounterOptions, ReplicationOptions } from "./options.ts";
export { RedisCounterBackend } from "./redis-counter.ts";
export type { LostCounts, RedisEvent, RefusedCounts } from "./replication/events.ts";
export { NotConnectedError, PushTimeoutError, RedisConnectError, RefusedCountsError } from "./server/errors.ts";
export type { Bucket } from "./server/keys.ts";
export { type RedisClient, recommendedClientOptions, recommendedClusterOptions } from "./server/redis-client.ts";
export type {
  Changes,
  MergedItem,
  MergeItem,
  MergeReply,
  Owed,
  Owing,
  SharedCounts,
  StoredUpTo,
} from "./server/shared-counts.ts";
