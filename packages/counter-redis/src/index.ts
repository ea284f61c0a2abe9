export { NotConnectedError, PushTimeoutError, RedisConnectError, RefusedCountsError } from "./errors.ts";
export {
  type FailedChore,
  type LostCounts,
  type RedisCounterEvents,
  type RedisMessage,
  type RefusedCounts,
  redisChannel,
} from "./events.ts";
export type { PushLoopOptions } from "./push-loop.ts";
export { type RedisClient, recommendedClientOptions, recommendedClusterOptions } from "./redis-client.ts";
export { RedisCounterBackend } from "./redis-counter-backend.ts";
export type { RedisConnectOptions, RedisCounterOptions } from "./redis-counter-options.ts";
export { RedisSharedCounts, type RedisSharedCountsOptions } from "./redis-shared-counts.ts";
export type { MergeReply, MergeRequest, ReadReply, SharedCounts, SwapReply } from "./shared-counts.ts";
