import {
  type Clock,
  STORAGE_DIMENSIONS,
  type StorageDimension,
  systemClock,
  type UsageStore,
} from "@usage/counter-core";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { DEFAULT_PREFIX, type PrefixOptions } from "../table-prefix.ts";
import { offered, type TimelineOptions, tableUsageStore } from "../table-usage-store.ts";
import { DEFAULT_TIMEOUT_MS, type Run, runOn, type TimeoutOptions, withDeadline } from "./deadline.ts";
import { usageTables } from "./schema.ts";
import { postgresUsageTable } from "./table.ts";

export interface PostgresStoreOptions<D extends string = string>
  extends TimeoutOptions,
    PrefixOptions,
    TimelineOptions {
  /**
   * The dimensions that `totals` returns. Others are stored all the same, and appear in `tallies` and `history`.
   * @default STORAGE_DIMENSIONS
   */
  readonly dimensions?: readonly D[];
  /** What `fold` takes for now. @default systemClock */
  readonly clock?: Pick<Clock, "now">;
}

/** A merge of another instance may take longer than one here; what it changed must be found when it is done. */
const MIN_OVERLAP_MS = 60_000;

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
  return storeOn(runOn(db, withDeadline(options)), options);
}

/** @throws RangeError when an option is out of range. */
export function storeOn<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PgDatabase<TResult, TSchema>>,
  options: PostgresStoreOptions,
): UsageStore<string> {
  const { dimensions = STORAGE_DIMENSIONS, prefix = DEFAULT_PREFIX, clock = systemClock } = options;
  const overlapMs = Math.max(MIN_OVERLAP_MS, 2 * (options.timeoutMs ?? DEFAULT_TIMEOUT_MS));
  const { timeline: isTimed = false } = options;
  const table = postgresUsageTable(run, { tables: usageTables(prefix), overlapMs, isTimed });
  return offered(tableUsageStore(table, { dimensions, clock }), options);
}
