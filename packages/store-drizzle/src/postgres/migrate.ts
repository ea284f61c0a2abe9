import { readdirSync, readFileSync } from "node:fs";
import { sql } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { type Run, runOn, type TimeoutOptions, withDeadline } from "./deadline.ts";

const FOLDER = new URL("../../migrations/postgres/", import.meta.url);

/**
 * Creates the table and the view in the first schema of the search path, or does nothing where they exist. Safe when
 * several processes start at once, also behind a pooler: each file is one statement behind an advisory lock.
 *
 * @throws StoreError or StoreTimeoutError, after which it may be called again.
 */
export async function migrate<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  db: PgDatabase<TResult, TSchema>,
  options: TimeoutOptions = {},
): Promise<void> {
  await migrateWith(runOn(db, withDeadline(options)));
}

export async function migrateWith<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PgDatabase<TResult, TSchema>>,
): Promise<void> {
  for (const file of readdirSync(FOLDER).sort()) {
    const statements = readFileSync(new URL(file, FOLDER), "utf8");
    await run(`migration ${file}`, (db) => db.execute(sql.raw(underLock(statements))));
  }
}

function underLock(statements: string): string {
  return `do $usage$ begin
perform pg_advisory_xact_lock(hashtextextended('@usage/store-drizzle', 0));
${statements}
end $usage$`;
}
