import { and, eq, gt, gte, lte, min, sql } from "drizzle-orm";
import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";
import type { TallyRow } from "../tally-rows.ts";
import type { BackendUsage, UsageTable } from "../usage-table.ts";
import { backendSums, rowPages, type SumRow, sumPages } from "./pages.ts";
import type { Attempt } from "./retry-while-busy.ts";
import { usageTallies } from "./schema.ts";

const { period, backend } = usageTallies;

/** `usage_tallies` in SQLite. Each statement is a transaction of its own: none is left open between two turns. */
export function sqliteUsageTable<TSchema extends Record<string, unknown>>(
  db: BaseSQLiteDatabase<"sync", unknown, TSchema>,
  attempt: Attempt,
): UsageTable {
  return {
    rowsPerChunk: 750,
    pipelined: false,
    refusal: /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG)/,

    async upsert(rows, signal) {
      await attempt("merge", () => db.run(upsertStatement(rows)), signal);
    },

    async periodBetween(from, to, included) {
      const where = and(
        included ? gte(period, from) : gt(period, from),
        to === undefined ? undefined : lte(period, to),
      );
      const row = await attempt("reading the periods", () =>
        db
          .select({ first: min(period) })
          .from(usageTallies)
          .where(where)
          .get(),
      );
      return row?.first ?? undefined;
    },

    async *usage(key, writer, name) {
      if (name !== undefined) {
        yield grouped(await backendSums(db, attempt, key, writer, name));
        return;
      }
      for await (const rows of sumPages(db, attempt, key, writer)) yield grouped(rows);
    },

    async *tallies(key, backends) {
      for await (const rows of rowPages(db, attempt, key, backends)) {
        yield Array.from(Map.groupBy(rows, (row) => row.backend)).flatMap(([name, ofBackend]) =>
          Array.from(
            Map.groupBy(ofBackend, (row) => row.writer),
            ([writer, own]) => ({ writer, period: key, backend: name, usage: usageOf(own, "amount") }),
          ),
        );
      }
    },

    async remove(key, name) {
      const where = and(eq(period, key), eq(backend, name));
      await attempt("remove", () => db.delete(usageTallies).where(where).run());
    },
  };
}

/**
 * One statement and one parameter: as fast as a prepared upsert per row inside one transaction, and atomic without one.
 * Where nothing grew, nothing is written.
 */
function upsertStatement(rows: readonly TallyRow[]) {
  const sent = JSON.stringify(rows.map((row) => [row.period, row.backend, row.dimension, row.writer, row.amount]));
  // fault: SQLite adds instead of keeping the maximum
  // fault: SQLite adds what it has already
  // fault: SQLite keeps what came last
  return sql`
    insert into ${usageTallies} (period, backend, dimension, writer, amount)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(${sent}) where true
    on conflict (period, backend, dimension, writer) do update
    set amount = excluded.amount, updated_at = excluded.updated_at
    where excluded.amount > usage_tallies.amount`;
}

function grouped(rows: readonly SumRow[]): readonly BackendUsage[] {
  return Array.from(
    Map.groupBy(rows, (row) => row.backend),
    // fault: SQLite sums over the asking writer only
    ([name, own]) => ({ backend: name, all: usageOf(own, "all"), own: usageOf(own, "own") }),
  );
}

function usageOf<Part extends string>(
  rows: readonly ({ readonly dimension: string } & { readonly [part in Part]: number })[],
  part: Part,
): Record<string, number> {
  return Object.fromEntries(rows.map((row) => [row.dimension, row[part]]));
}
