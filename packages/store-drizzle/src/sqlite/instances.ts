import { and, desc, eq, lt, sql } from "drizzle-orm";
import { storedInstance } from "../stored-instance.ts";
import type { UsageTable } from "../usage-table.ts";
import { NOW } from "./now.ts";
import { backendRanges, type Reading } from "./pages.ts";
import type { SqliteTables } from "./schema.ts";

/** What is asked of the table of instances, and of writers. */
export function instanceStatements<TSchema extends Record<string, unknown>>(
  reading: Reading<TSchema>,
  instances: SqliteTables["instances"],
): Pick<UsageTable, "heartbeat" | "instances" | "writers"> {
  const { db, tallies, attempt } = reading;

  return {
    async heartbeat({ id, labels, ...times }, forgetMs) {
      const startedAt = new Date(times.startedAt);
      const stoppedAt = times.stoppedAt === undefined ? null : new Date(times.stoppedAt);
      const said = { startedAt, stoppedAt, labels, seenAt: NOW };
      const write = (): void => {
        db.insert(instances)
          .values({ id, ...said })
          .onConflictDoUpdate({ target: instances.id, set: said })
          .run();
        db.delete(instances)
          .where(lt(instances.seenAt, sql`${NOW} - ${forgetMs}`))
          .run();
      };
      await attempt("heartbeat", () => db.transaction(write, { behavior: "immediate" }));
    },

    async instances() {
      const read = () => db.select().from(instances).orderBy(desc(instances.seenAt), instances.id).all();
      return (await attempt("reading the instances", read)).map(storedInstance);
    },

    async *writers(key) {
      const { period, writer, dimension, amount } = tallies;
      for await (const range of backendRanges(reading, key, "reading the writers")) {
        const rows = await attempt("reading the writers", () =>
          db
            .select({
              writer,
              dimension,
              amount: sql`min(total(${amount}), ${Number.MAX_SAFE_INTEGER})`.mapWith(Number),
            })
            .from(tallies)
            .where(and(eq(period, key), range))
            .groupBy(writer, dimension)
            .all(),
        );
        yield rows.map((row) => ({ writer: row.writer, usage: { [row.dimension]: row.amount } }));
      }
    },
  };
}
