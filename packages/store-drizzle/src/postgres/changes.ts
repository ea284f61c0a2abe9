import { and, asc, eq, gt, lt, max, type SQL, sql } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import type { NewChangeRow, UsageTable } from "../usage-table.ts";
import type { Run } from "./deadline.ts";
import type { PostgresTables } from "./schema.ts";

/** What is asked of the table of changes. */
export function changeStatements<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PgDatabase<TResult, TSchema>>,
  changes: PostgresTables["changes"],
): Pick<UsageTable, "change" | "changes" | "removeChanges" | "revisionOf"> {
  const { revision, subject, setting } = changes;

  return {
    change(row, follows) {
      const next = nextChange(changes, row, follows);
      // Of two at once one waits for the other, and then has no revision of its own.
      return run("change", (db) => db.insert(changes).select(next).onConflictDoNothing().returning());
    },

    changes(after) {
      return run("reading the changes", (db) =>
        db.select().from(changes).where(gt(revision, after)).orderBy(asc(revision)),
      );
    },

    async removeChanges(before) {
      const where = and(eq(subject, before.subject), eq(setting, before.setting), lt(revision, before.revision));
      await run("change", (db) => db.delete(changes).where(where));
    },

    async revisionOf(row) {
      const where = and(eq(subject, row.subject), eq(setting, row.setting));
      const [found] = await run("reading the changes", (db) =>
        db
          .select({ last: max(revision) })
          .from(changes)
          .where(where),
      );
      return found?.last ?? 0;
    },
  };
}

/** The next revision, where `follows` is the last one of the setting. */
function nextChange(changes: PostgresTables["changes"], row: NewChangeRow, follows: number | undefined): SQL {
  const last = sql`(select coalesce(max(${changes.revision}), 0) from ${changes})`;
  const own = sql`(select coalesce(max(${changes.revision}), 0) from ${changes} where ${changes.subject} = ${row.subject} and ${changes.setting} = ${row.setting})`;
  // fault: Postgres overwrites what another has changed meanwhile
  const isLast = follows === undefined ? sql`true` : sql`${own} = ${follows}::bigint`;
  const given = [row.subject, row.setting, row.value, row.before, row.changedBy, row.reason].map(
    (part) => sql`${part}::text`,
  );
  return sql`select ${last} + 1, ${sql.join(given, sql`, `)}, now() where ${isLast}`;
}
