import { STORAGE_DIMENSIONS, type StorageDimension, systemClock, type UsageStore } from "@usage/counter-core";
import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";
import { DEFAULT_PREFIX, type PrefixOptions } from "../table-prefix.ts";
import { offered, type TableUsageStore, type TimelineOptions, tableUsageStore } from "../table-usage-store.ts";
import { type BusyOptions, retryWhileBusy } from "./retry-while-busy.ts";
import { usageTables } from "./schema.ts";
import { sqliteUsageTable } from "./table.ts";

export interface SqliteStoreOptions<D extends string = string> extends BusyOptions, PrefixOptions, TimelineOptions {
  /**
   * The dimensions that `totals` returns. Others are stored all the same, and appear in `tallies` and `history`.
   * @default STORAGE_DIMENSIONS
   */
  readonly dimensions?: readonly D[];
}

/**
 * A usage store in your own drizzle database, whose table `migrate` or your own drizzle-kit has created. It sets no pragma
 * and does not close the database. Nor does it see that the file was deleted or replaced, which `openSqliteStore` does. The
 * connection should have
 *
 *     pragma journal_mode = wal;     -- readers and the writer do not wait for each other
 *     pragma synchronous = full;     -- a merge that resolved survives a power loss
 *     pragma wal_autocheckpoint = 250;  -- smaller pauses
 *     pragma busy_timeout = 10;      -- milliseconds; it blocks the event loop, and the store waits on its own behind it
 *
 * @throws RangeError when an option is out of range.
 */
export function sqliteUsageStore<D extends string, TSchema extends Record<string, unknown>>(
  db: BaseSQLiteDatabase<"sync", unknown, TSchema>,
  options: SqliteStoreOptions<D> & { readonly dimensions: readonly D[] },
): UsageStore<D>;
export function sqliteUsageStore<TSchema extends Record<string, unknown>>(
  db: BaseSQLiteDatabase<"sync", unknown, TSchema>,
  options?: SqliteStoreOptions<StorageDimension>,
): UsageStore;
export function sqliteUsageStore<TSchema extends Record<string, unknown>>(
  db: BaseSQLiteDatabase<"sync", unknown, TSchema>,
  options: SqliteStoreOptions = {},
): UsageStore<string> {
  return offered(storeOn(db, options), options);
}

/** @throws RangeError when an option is out of range. */
export function storeOn<TSchema extends Record<string, unknown>>(
  db: BaseSQLiteDatabase<"sync", unknown, TSchema>,
  options: SqliteStoreOptions,
): TableUsageStore {
  const { dimensions = STORAGE_DIMENSIONS, prefix = DEFAULT_PREFIX, clock = systemClock, timeline = false } = options;
  const now = timeline ? () => clock.now() : undefined;
  const table = sqliteUsageTable(db, { tables: usageTables(prefix), attempt: retryWhileBusy(options), now });
  return tableUsageStore(table, { dimensions, clock });
}
