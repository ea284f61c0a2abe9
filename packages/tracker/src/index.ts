export type { Decision } from "./decision.ts";
export {
  FlushError,
  FlushTimeoutError,
  GrantConflictError,
  StoreDimensionsError,
  StoreLossError,
  WindowSchemeError,
} from "./errors.ts";
export type { FlushEvent, LimitEvent } from "./events.ts";
export type { GrantOptions } from "./grants/grant-options.ts";
export type { LimitsByBackend, LimitsSource } from "./limits.ts";
export { openUsage } from "./open.ts";
export { OpenUsage, type OpenUsageOptions } from "./open-usage.ts";
export type { FlushOptions, FlushResult, RefreshOptions } from "./store-sync.ts";
export {
  type Delivery,
  DeliveryTimeoutError,
  type ThresholdEvent,
  type ThresholdFailure,
} from "./thresholds/threshold-event.ts";
export { ThresholdNotifier, type ThresholdNotifierOptions } from "./thresholds/threshold-notifier.ts";
export type { DeliveryTimes, ThresholdOptions } from "./thresholds/threshold-options.ts";
export type { Thresholds } from "./thresholds/thresholds.ts";
export type { TrackedCounter } from "./tracked-counter.ts";
export type { UsageChange } from "./usage-change.ts";
export { type FlusherStatus, type FlushSchedule, UsageFlusher, type UsageFlusherOptions } from "./usage-flusher.ts";
export { UsageTracker } from "./usage-tracker.ts";
export type { UsageTrackerOptions } from "./usage-tracker-options.ts";
export type { ReserveOptions, WaitOptions } from "./waiting-room.ts";
export type { WindowedDecision } from "./windows/decide-all.ts";
export type { OpenWindowsOptions } from "./windows/open-windows-options.ts";
export type { WindowScheme } from "./windows/window.ts";
export type { WindowFlushEvent, WindowLimitEvent, WindowTracker } from "./windows/window-events.ts";
export type { WindowLimits, WindowLimitsSource } from "./windows/window-limits.ts";
export { WindowedUsage, type WindowGrantOptions } from "./windows/windowed-usage.ts";
