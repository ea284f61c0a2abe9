import { and, asc, eq, gte, sql } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import type { UsageTable } from "../usage-table.ts";
import type { Run } from "./deadline.ts";
import type { PostgresTables } from "./schema.ts";

/** What is asked of the table of grants. */
export function grantStatements<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PgDatabase<TResult, TSchema>>,
  grants: PostgresTables["grants"],
): Pick<UsageTable, "grant" | "grants" | "removeGrants"> {
  const { backend, period, id, createdAt } = grants;

  return {
    grant(row) {
      // As text: postgres.js would make a JSON text of what it is told is JSON.
      const amounts = sql`${JSON.stringify(row.amounts)}::text::jsonb`;
      // fault: Postgres grants again what it has granted
      return run("grant", (db) =>
        db
          .insert(grants)
          .values({ ...row, amounts })
          .onConflictDoNothing()
          .returning(),
      );
    },

    grants(query) {
      const where = and(
        query.period === undefined ? undefined : eq(period, query.period),
        query.backend === undefined ? undefined : eq(backend, query.backend),
        query.id === undefined ? undefined : eq(id, query.id),
        query.since === undefined ? undefined : gte(createdAt, new Date(query.since)),
      );
      return run("reading the grants", (db) =>
        db.select().from(grants).where(where).orderBy(asc(createdAt), asc(backend), asc(id)),
      );
    },

    async removeGrants(name) {
      await run("remove", (db) => db.delete(grants).where(eq(backend, name)));
    },
  };
}
