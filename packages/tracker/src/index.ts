export type { Decision } from "./decision.ts";
export { FlushError, FlushTimeoutError, StoreDimensionsError, StoreLossError } from "./errors.ts";
export type { FlushEvent, LimitEvent } from "./events.ts";
export type { LimitsByBackend, LimitsSource } from "./limits.ts";
export { OpenUsage, type OpenUsageOptions, openUsage } from "./open-usage.ts";
export type { FlushOptions, FlushResult, RefreshOptions } from "./store-sync.ts";
export type { TrackedCounter } from "./tracked-counter.ts";
export { type FlusherStatus, type FlushSchedule, UsageFlusher, type UsageFlusherOptions } from "./usage-flusher.ts";
export { UsageTracker, type UsageTrackerOptions } from "./usage-tracker.ts";
