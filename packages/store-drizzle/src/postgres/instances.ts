import { desc, eq, lt, sql } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { storedInstance } from "../stored-instance.ts";
import type { UsageTable } from "../usage-table.ts";
import type { Run } from "./deadline.ts";
import type { PostgresTables } from "./schema.ts";

/** What is asked of the table of instances, and of writers. */
export function instanceStatements<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PgDatabase<TResult, TSchema>>,
  { instances, tallies }: PostgresTables,
): Pick<UsageTable, "heartbeat" | "instances" | "writers"> {
  return {
    async heartbeat({ id, labels, ...times }, forgetMs) {
      const startedAt = new Date(times.startedAt);
      const stoppedAt = times.stoppedAt === undefined ? null : new Date(times.stoppedAt);
      const seenAt = sql`clock_timestamp()`;
      // As text: postgres.js would make a JSON text of what it is told is JSON.
      const said = { startedAt, stoppedAt, labels: sql`${JSON.stringify(labels)}::text::jsonb`, seenAt };
      await run("heartbeat", (db) =>
        db
          .insert(instances)
          .values({ id, ...said })
          .onConflictDoUpdate({ target: instances.id, set: said }),
      );
      const old = lt(instances.seenAt, sql`now() - ${forgetMs}::double precision * interval '1 millisecond'`);
      await run("heartbeat", (db) => db.delete(instances).where(old));
    },

    async instances() {
      const rows = await run("reading the instances", (db) =>
        db.select().from(instances).orderBy(desc(instances.seenAt), instances.id),
      );
      return rows.map(storedInstance);
    },

    async *writers(key) {
      const { period, writer, dimension, amount } = tallies;
      const sum = sql`least(sum(${amount}), ${Number.MAX_SAFE_INTEGER}::bigint)`.mapWith(Number);
      const rows = await run("reading the writers", (db) =>
        db.select({ writer, dimension, amount: sum }).from(tallies).where(eq(period, key)).groupBy(writer, dimension),
      );
      yield rows.map((row) => ({ writer: row.writer, usage: { [row.dimension]: row.amount } }));
    },
  };
}
