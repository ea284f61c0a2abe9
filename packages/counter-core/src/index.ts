export type {
  Awaitable,
  CounterBackend,
  EnsureOptions,
  HoldOptions,
  Limits,
  OpenCounter,
  ReadRows,
  RowCounter,
  Standing,
  TallySource,
  UsageCounter,
  UsageRecorder,
} from "./counter.ts";
export type { Hold } from "./holds/hold.ts";
export type {
  HistoryQuery,
  MergeOptions,
  RejectedTally,
  StoredTotals,
  TotalsQuery,
  UsageStore,
} from "./hops/usage-store.ts";
export { LocalCounterBackend, type LocalCounterOptions } from "./local-counter.ts";
export type { Change, ChangesQuery, StoredChange } from "./model/change.ts";
export { type Clock, systemClock } from "./model/clock.ts";
export {
  AmountError,
  DrainConflictError,
  NameError,
  PeriodFoldedError,
  TooManyBackendsError,
  UnknownBackendError,
  UnknownDimensionError,
  UnknownUsageError,
} from "./model/errors.ts";
export type { Grant, GrantReceipt, GrantsQuery, StoredGrant } from "./model/grant.ts";
export type { Instance, StoredInstance, WriterUsage } from "./model/instance.ts";
export type { Mark } from "./model/mark.ts";
export { assertBackendName, assertDimensionName } from "./model/names.ts";
export type { Notice, NoticesQuery } from "./model/notice.ts";
export type { Period, PeriodScheme } from "./model/period.ts";
export type { TimelineAges, TimelineQuery, TimelineStep } from "./model/timeline.ts";
export {
  type PeriodUsage,
  STORAGE_DIMENSIONS,
  type StorageDimension,
  type StoredUsage,
  type Tally,
  type Usage,
} from "./model/usage.ts";
export { isWrittenBy } from "./model/writer.ts";
export { utcMonthsFrom } from "./periods/anchored-months.ts";
export { currentPeriod, isoWeeks, utcDays, utcHours, utcMinutes, utcMonths } from "./periods/utc-periods.ts";
export { daysIn, monthsIn, weeksIn } from "./periods/zoned-periods.ts";
export { foldableBefore } from "./stores/foldable.ts";
export { type MemoryStoreOptions, memoryStore } from "./stores/memory-store.ts";
export {
  type AttachOptions,
  attach,
  ThreadedCounterBackend,
  type ThreadedCounterHandle,
  type ThreadedCounterOptions,
} from "./threaded-counter.ts";
export type { Event } from "./util/emitter.ts";
