import { and, eq, lte, sql } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { areMarks } from "../are-marks.ts";
import type { UsageTable } from "../usage-table.ts";
import type { Run } from "./deadline.ts";
import type { PostgresTables } from "./schema.ts";

/** Twice as long, and so on, as often as it can be told from for ever. */
const MAX_DOUBLINGS = 40;

/** What is asked of the table of marks. */
export function markStatements<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PgDatabase<TResult, TSchema>>,
  marks: PostgresTables["marks"],
): Pick<UsageTable, "claim" | "notices" | "acknowledge" | "removeMarks"> {
  const { backend, period, dimension, mark, attempts } = marks;
  const key = { backend, period, dimension, mark };

  return {
    claim(rows) {
      const values = rows.map((row) => ({ ...row, ...(row.channel !== undefined && { dueAt: sql`now()` }) }));
      // fault: Postgres tells a mark as new that somebody has claimed
      return run("claim", (db) => db.insert(marks).values(values).onConflictDoNothing().returning(key));
    },

    notices(channel, { limit, retryMs: { first, max } }) {
      const doublings = sql`power(2, least(${attempts}, ${MAX_DOUBLINGS}))`;
      const pauseMs = sql`least(${max}::double precision, ${first}::double precision * ${doublings})`;
      return run("taking notices", (db) => {
        const isDue = and(eq(marks.channel, channel), lte(marks.dueAt, sql`now()`));
        // One statement: who waits behind a pooler, or dies, has no transaction open. Others pass over what is being taken.
        const oldest = db.select(key).from(marks).where(isDue).orderBy(marks.dueAt).limit(limit);
        // fault: Postgres gives a notice to all who take at once
        // fault: Postgres waits for who is taking a notice
        const due = db.$with("due").as(oldest.for("update", { skipLocked: true }));
        return db
          .with(due)
          .update(marks)
          .set({ attempts: sql`${attempts} + 1`, dueAt: sql`now() + ${pauseMs} * interval '1 millisecond'` })
          .from(due)
          .where(
            and(eq(backend, due.backend), eq(period, due.period), eq(dimension, due.dimension), eq(mark, due.mark)),
          )
          .returning({ ...key, body: sql<string>`${marks.body}`, attempts, createdAt: marks.createdAt });
      });
    },

    async acknowledge(rows) {
      await run("acknowledge", (db) => db.update(marks).set({ dueAt: null }).where(areMarks(key, rows)));
    },

    async removeMarks(name) {
      await run("remove", (db) => db.delete(marks).where(eq(backend, name)));
    },
  };
}
