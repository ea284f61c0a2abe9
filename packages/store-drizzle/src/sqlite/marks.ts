import { and, eq, lte, sql } from "drizzle-orm";
import { areMarks } from "../are-marks.ts";
import type { UsageTable } from "../usage-table.ts";
import { NOW } from "./now.ts";
import type { SqliteDatabase } from "./pages.ts";
import type { Attempt } from "./retry-while-busy.ts";
import type { SqliteTables } from "./schema.ts";

/** 2^31 milliseconds, doubled so often, are less than 2^63. */
const MAX_DOUBLINGS = 30;

/** What is asked of the table of marks. */
export function markStatements<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  attempt: Attempt,
  marks: SqliteTables["marks"],
): Pick<UsageTable, "claim" | "notices" | "acknowledge" | "removeMarks"> {
  const { backend, period, dimension, mark, attempts } = marks;
  const key = { backend, period, dimension, mark };

  return {
    claim(rows) {
      const values = rows.map((row) => ({ ...row, ...(row.channel !== undefined && { dueAt: NOW }) }));
      // fault: SQLite tells a mark as new that somebody has claimed
      const insert = () => db.insert(marks).values(values).onConflictDoNothing().returning(key).all();
      return attempt("claim", insert);
    },

    notices(channel, { limit, retryMs: { first, max } }) {
      const isDue = and(eq(marks.channel, channel), lte(marks.dueAt, NOW));
      const pauseMs = sql`cast(min(${max}, ${first} * (1 << min(${attempts}, ${MAX_DOUBLINGS}))) as integer)`;
      const oldest = db.select(key).from(marks).where(isDue).orderBy(marks.dueAt).limit(limit);
      const take = () => {
        // Where nothing is due, as nearly always, nobody waits for the lock.
        if (oldest.get() === undefined) return [];
        // fault: SQLite gives a notice again at once
        const taken = { attempts: sql`${attempts} + 1`, dueAt: sql`${NOW} + ${pauseMs}` };
        return db
          .update(marks)
          .set(taken)
          .where(sql`(${backend}, ${period}, ${dimension}, ${mark}) in (${oldest})`)
          .returning({ ...key, body: sql<string>`${marks.body}`, attempts, createdAt: marks.createdAt })
          .all();
      };
      return attempt("taking notices", take);
    },

    async acknowledge(rows) {
      const deliver = () => db.update(marks).set({ dueAt: null }).where(areMarks(key, rows)).run();
      await attempt("acknowledge", deliver);
    },

    async removeMarks(name) {
      await attempt("remove", () => db.delete(marks).where(eq(backend, name)).run());
    },
  };
}
