import { STORAGE_DIMENSIONS, type StorageDimension, type UsageStore } from "@usage/counter-core";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { tableUsageStore } from "../table-usage-store.ts";
import { runOn, type TimeoutOptions, withDeadline } from "./deadline.ts";
import { postgresUsageTable } from "./table.ts";

export interface PostgresStoreOptions<D extends string = string> extends TimeoutOptions {
  /**
   * The dimensions that `totals` answers. Others are stored all the same, and appear in `tallies` and `history`.
   * @default STORAGE_DIMENSIONS
   */
  readonly dimensions?: readonly D[];
}

/**
 * A usage store in your own drizzle database, of any Postgres driver, whose table `migrate` or your own drizzle-kit has
 * created. It does not close the database, nor make connections anew after a failover, which `openPostgresStore` does. The
 * connections should have a `statement_timeout`; `synchronous_commit` must be on (Postgres's default) for a merge that
 * resolved to survive a crash of the server.
 *
 * @throws RangeError when an option is out of range.
 */
export function postgresUsageStore<
  D extends string,
  TResult extends PgQueryResultHKT,
  TSchema extends Record<string, unknown>,
>(
  db: PgDatabase<TResult, TSchema>,
  options: PostgresStoreOptions<D> & { readonly dimensions: readonly D[] },
): UsageStore<D>;
export function postgresUsageStore<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  db: PgDatabase<TResult, TSchema>,
  options?: PostgresStoreOptions<StorageDimension>,
): UsageStore;
export function postgresUsageStore<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  db: PgDatabase<TResult, TSchema>,
  options: PostgresStoreOptions = {},
): UsageStore<string> {
  const { dimensions = STORAGE_DIMENSIONS } = options;
  return tableUsageStore(postgresUsageTable(runOn(db, withDeadline(options))), dimensions);
}
