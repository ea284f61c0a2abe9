/**
 * What the sibling packages need of this one's inside. Unstable: it may change with every release.
 *
 * @packageDocumentation
 */
export type {
  Generations,
  HoldingCells,
  HoldingPeriods,
  HopCells,
  PeriodCells,
  Periods,
  RecordingCells,
} from "./cells/cells.ts";
export { AT_ONCE } from "./cells/cells.ts";
export type { CellsShape } from "./cells/heap-cells.ts";
export type { HeapPeriods } from "./cells/heap-periods.ts";
export { RowSet } from "./cells/row-set.ts";
export { CounterBase } from "./counter-base.ts";
export type { CounterParts, HeldBackends, KnownUsage } from "./held-backends.ts";
export { Hop } from "./hops/hop.ts";
export type { StoreHop } from "./hops/store-hop.ts";
export type { Tallies } from "./hops/tallies.ts";
export { heapParts } from "./local-counter.ts";
export { assertRevision, checkedChange } from "./model/change.ts";
export { areSameAmounts, checkedGrant, grantKey } from "./model/grant.ts";
export { checkedInstance } from "./model/instance.ts";
export { type MarkRow, markKey, markOf, markRow } from "./model/mark.ts";
export { isDimensionName } from "./model/names.ts";
export { assertNoticesQuery } from "./model/notice.ts";
export { assertText, textProblem } from "./model/text.ts";
export { assertInstant, assertTimelineAges, assertTimelineQuery, STEP_MS, stepStart } from "./model/timeline.ts";
export { amountOf, isAmount } from "./model/usage.ts";
export { writerOf } from "./model/writer.ts";
export { capsOf, raisedBy, UNLIMITED } from "./request/caps.ts";
export { refuseOverflow } from "./request/refuse-overflow.ts";
export type { Rows } from "./request/rows.ts";
export { isDictionary, UsageReader } from "./request/usage-reader.ts";
export { Cursors } from "./stores/cursors.ts";
export { calendarRange } from "./stores/foldable.ts";
export { assertDelay } from "./util/assert-delay.ts";
export { inTime, untilAborted, withinTime } from "./util/deadline.ts";
export { Emitter } from "./util/emitter.ts";
export { isThenable } from "./util/is-thenable.ts";
export { messageOf } from "./util/message-of.ts";
export { SerialQueue } from "./util/serial-queue.ts";
