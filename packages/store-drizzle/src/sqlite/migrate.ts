import { sql } from "drizzle-orm";
import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";
import { DEFAULT_PREFIX, type PrefixOptions, withPrefix } from "../table-prefix.ts";
import { MIGRATIONS } from "./migrations.ts";
import { type BusyOptions, retryWhileBusy } from "./retry-while-busy.ts";

/** A migration that begins with a question is about what an older version has made. */
const QUESTION = /^(--.*\n)*select /;

/**
 * Creates the tables and the view, or does nothing where they exist. Safe when several processes start at once: every
 * statement is idempotent and a transaction of its own, or looks in one transaction whether it is needed.
 *
 * @throws RangeError when an option is out of range, StoreError or StoreBusyError, after which it may be called again.
 */
export async function migrate<TSchema extends Record<string, unknown>>(
  db: BaseSQLiteDatabase<"sync", unknown, TSchema>,
  options: BusyOptions & PrefixOptions = {},
): Promise<void> {
  const attempt = retryWhileBusy(options);
  const { prefix = DEFAULT_PREFIX } = options;
  for (const { name, text } of MIGRATIONS) {
    const operation = `migration ${name}`;
    const [first = "", ...others] = withPrefix(text, prefix).split("--> next\n");
    const isNeeded = () => db.get(sql.raw(first)) !== undefined;
    if (!QUESTION.test(first)) {
      for (const statement of [first, ...others]) await attempt(operation, () => db.run(sql.raw(statement)));
      // Outside of a transaction at first: where nothing is to be done, nobody waits for the lock.
    } else if (await attempt(operation, isNeeded)) {
      const change = () => {
        if (isNeeded()) for (const statement of others) db.run(sql.raw(statement));
      };
      await attempt(operation, () => db.transaction(change, { behavior: "immediate" }));
    }
  }
}
