import { sql } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { DEFAULT_PREFIX, type PrefixOptions, withPrefix } from "../table-prefix.ts";
import { type Run, runOn, type TimeoutOptions, withDeadline } from "./deadline.ts";
import { MIGRATIONS } from "./migrations.ts";

/**
 * Creates the tables and the view in the first schema of the search path, or does nothing where they exist. Safe when
 * several processes start at once, also behind a pooler: each migration is one statement behind an advisory lock.
 *
 * @throws RangeError when an option is out of range, StoreError or StoreTimeoutError, after which it may be called again.
 */
export async function migrate<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  db: PgDatabase<TResult, TSchema>,
  options: TimeoutOptions & PrefixOptions = {},
): Promise<void> {
  await migrateWith(runOn(db, withDeadline(options)), options.prefix ?? DEFAULT_PREFIX);
}

export async function migrateWith<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PgDatabase<TResult, TSchema>>,
  prefix: string,
): Promise<void> {
  for (const { name, text } of MIGRATIONS) {
    const statements = underLock(withPrefix(text, prefix));
    await run(`migration ${name}`, (db) => db.execute(sql.raw(statements)));
  }
}

function underLock(statements: string): string {
  return `do $usage$ begin
perform pg_advisory_xact_lock(hashtextextended('@usage/store-drizzle', 0));
${statements}
end $usage$`;
}
