import { and, asc, eq, gt, lt, max, type SQL, sql } from "drizzle-orm";
import type { NewChangeRow, UsageTable } from "../usage-table.ts";
import { NOW } from "./now.ts";
import type { SqliteDatabase } from "./pages.ts";
import type { Attempt } from "./retry-while-busy.ts";
import type { SqliteTables } from "./schema.ts";

/** What is asked of the table of changes. */
export function changeStatements<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  attempt: Attempt,
  changes: SqliteTables["changes"],
): Pick<UsageTable, "change" | "changes" | "removeChanges" | "revisionOf"> {
  const { revision, subject, setting } = changes;

  return {
    change(row, follows) {
      const next = nextChange(changes, row, follows);
      return attempt("change", () => db.insert(changes).select(next).onConflictDoNothing().returning().all());
    },

    changes(after) {
      const read = () => db.select().from(changes).where(gt(revision, after)).orderBy(asc(revision)).all();
      return attempt("reading the changes", read);
    },

    async removeChanges(before) {
      const where = and(eq(subject, before.subject), eq(setting, before.setting), lt(revision, before.revision));
      await attempt("change", () => db.delete(changes).where(where).run());
    },

    async revisionOf(row) {
      const where = and(eq(subject, row.subject), eq(setting, row.setting));
      const read = () =>
        db
          .select({ last: max(revision) })
          .from(changes)
          .where(where)
          .get();
      return (await attempt("reading the changes", read))?.last ?? 0;
    },
  };
}

/** The next revision, where `follows` is the last one of the setting. */
function nextChange(changes: SqliteTables["changes"], row: NewChangeRow, follows: number | undefined): SQL {
  const last = sql`(select coalesce(max(${changes.revision}), 0) from ${changes})`;
  const own = sql`(select coalesce(max(${changes.revision}), 0) from ${changes} where ${changes.subject} = ${row.subject} and ${changes.setting} = ${row.setting})`;
  // fault: SQLite overwrites what another has changed meanwhile
  const isLast = follows === undefined ? sql`true` : sql`${own} = ${follows}`;
  const given = [row.subject, row.setting, row.value, row.before, row.changedBy, row.reason].map(
    (part) => sql`${part}`,
  );
  return sql`select ${last} + 1, ${sql.join(given, sql`, `)}, ${NOW} where ${isLast}`;
}
