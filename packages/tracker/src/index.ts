export { type FlushMessage, flushChannel, type LimitExceededMessage, limitExceededChannel } from "./channels.ts";
export type { Decision } from "./decision.ts";
export { FlushError, FlushTimeoutError, StoreDimensionsError, StoreLossError } from "./errors.ts";
export type { FlushOptions, FlushResult } from "./flush-queue.ts";
export type { Limits, LimitsByBackend } from "./limits.ts";
export { type FlusherStatus, type FlushSchedule, UsageFlusher, type UsageFlusherOptions } from "./usage-flusher.ts";
export { type RefreshOptions, UsageTracker, type UsageTrackerOptions } from "./usage-tracker.ts";
