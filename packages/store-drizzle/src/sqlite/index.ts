export { StoreBusyError, StoreError, StoreOpenError, TallyError, TallyRefusedError } from "../errors.ts";
export type { PrefixOptions } from "../table-prefix.ts";
export type { TimelineOptions } from "../table-usage-store.ts";
export { migrate } from "./migrate.ts";
export { type OpenSqliteStore, openSqliteStore } from "./open.ts";
export type { BusyOptions } from "./retry-while-busy.ts";
export {
  usageChanges,
  usageFolds,
  usageGrants,
  usageInstances,
  usageMarks,
  usageTables,
  usageTallies,
  usageTimeline,
  usageTotals,
} from "./schema.ts";
export { type SqliteStoreOptions, sqliteUsageStore } from "./store.ts";
