export { StoreError, StoreOpenError, StoreTimeoutError, TallyError, TallyRefusedError } from "../errors.ts";
export type { PrefixOptions } from "../table-prefix.ts";
export type { TimelineOptions } from "../table-usage-store.ts";
export type { TimeoutOptions } from "./deadline.ts";
export { migrate } from "./migrate.ts";
export { type OpenPostgresStore, openPostgresStore } from "./open.ts";
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
export { type PostgresStoreOptions, postgresUsageStore } from "./store.ts";
