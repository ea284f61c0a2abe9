import { and, asc, eq, gte } from "drizzle-orm";
import type { UsageTable } from "../usage-table.ts";
import type { SqliteDatabase } from "./pages.ts";
import type { Attempt } from "./retry-while-busy.ts";
import type { SqliteTables } from "./schema.ts";

/** What is asked of the table of grants. */
export function grantStatements<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  attempt: Attempt,
  grants: SqliteTables["grants"],
): Pick<UsageTable, "grant" | "grants" | "removeGrants"> {
  const { backend, period, id, createdAt } = grants;

  return {
    grant(row) {
      // fault: SQLite grants again what it has granted
      const insert = () => db.insert(grants).values(row).onConflictDoNothing().returning().all();
      return attempt("grant", insert);
    },

    grants(query) {
      const where = and(
        query.period === undefined ? undefined : eq(period, query.period),
        query.backend === undefined ? undefined : eq(backend, query.backend),
        query.id === undefined ? undefined : eq(id, query.id),
        query.since === undefined ? undefined : gte(createdAt, new Date(query.since)),
      );
      const read = () => db.select().from(grants).where(where).orderBy(asc(createdAt), asc(backend), asc(id)).all();
      return attempt("reading the grants", read);
    },

    async removeGrants(name) {
      await attempt("remove", () => db.delete(grants).where(eq(backend, name)).run());
    },
  };
}
