import { readdirSync, readFileSync } from "node:fs";
import { sql } from "drizzle-orm";
import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";
import { type BusyOptions, retryWhileBusy } from "./retry-while-busy.ts";

const FOLDER = new URL("../../migrations/sqlite/", import.meta.url);

/**
 * Creates the table and the view, or does nothing where they exist. Safe when several processes start at once: every
 * statement is idempotent and a transaction of its own.
 *
 * @throws StoreError or StoreBusyError, after which it may be called again.
 */
export async function migrate<TSchema extends Record<string, unknown>>(
  db: BaseSQLiteDatabase<"sync", unknown, TSchema>,
  options: BusyOptions = {},
): Promise<void> {
  const attempt = retryWhileBusy(options);
  for (const file of readdirSync(FOLDER).sort()) {
    for (const statement of readFileSync(new URL(file, FOLDER), "utf8").split("--> next\n")) {
      await attempt(`migration ${file}`, () => db.run(sql.raw(statement)));
    }
  }
}
