export { type Clock, systemClock } from "./clock.ts";
export type { Awaitable, CounterBackend, TallySource, UsageCounter, UsageRecorder } from "./counter-backend.ts";
export { AmountError, DrainConflictError, NameError, UnknownBackendError, UnknownDimensionError } from "./errors.ts";
export {
  type AttachOptions,
  LocalCounterBackend,
  type LocalCounterOptions,
  type SharedCounterHandle,
} from "./local-counter-backend.ts";
export { assertBackendName, assertDimensionName } from "./names.ts";
export { currentPeriod, type Period, type PeriodScheme, utcDays, utcMonths, utcMonthsFrom } from "./period.ts";
export type { PeriodCounts } from "./period-counts.ts";
export {
  amountOf,
  type PeriodUsage,
  STORAGE_DIMENSIONS,
  type StorageDimension,
  type StoredUsage,
  type Tally,
  type Usage,
} from "./usage.ts";
export { isAmount, isDictionary, paddedLength, UsageReader } from "./usage-reader.ts";
export type { HistoryQuery, MergeOptions, RejectedTally, UsageStore } from "./usage-store.ts";
