import { and, eq, type SQL, sql } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import type { TallyRow } from "../tally-rows.ts";
import type { UsageTable } from "../usage-table.ts";
import { arrayLiteral } from "./array-literal.ts";
import { REFUSAL, type Run } from "./deadline.ts";
import { bytes, type TallyEntry, tallyPages, type UsageEntry, usagePages } from "./pages.ts";
import { usageTallies } from "./schema.ts";

const { period, backend } = usageTallies;

/** `usage_tallies` in Postgres. Each statement is a transaction of its own, which also holds behind a pooler. */
export function postgresUsageTable<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PgDatabase<TResult, TSchema>>,
): UsageTable {
  return {
    rowsPerChunk: 2_000,
    pipelined: true,
    refusal: REFUSAL,

    async upsert(rows) {
      await run("merge", (db) => db.execute(upsertStatement(rows)));
    },

    async periodBetween(from, to, included) {
      const lower = included ? sql`${bytes(period)} >= ${from}` : sql`${bytes(period)} > ${from}`;
      const where = and(lower, to === undefined ? undefined : sql`${bytes(period)} <= ${to}`);
      const [row] = await run("reading the periods", (db) =>
        db.select({ period }).from(usageTallies).where(where).orderBy(bytes(period)).limit(1),
      );
      return row?.period;
    },

    async *usage(key, own, name) {
      for (const page of await usagePages(run, key, own, name)) {
        const entries: readonly UsageEntry[] = JSON.parse(page);
        yield entries.map(([backend, all, own]) => ({ backend, all, own }));
      }
    },

    async *tallies(key, backends) {
      for (const page of await tallyPages(run, key, backends)) {
        const entries: readonly TallyEntry[] = JSON.parse(page);
        yield entries.map(([backend, writer, usage]) => ({ writer, period: key, backend, usage }));
      }
    },

    async remove(key, name) {
      await run("remove", (db) => db.delete(usageTallies).where(and(eq(period, key), eq(backend, name))));
    },
  };
}

/**
 * Keeps what grew. `max` and `group by`: a statement must not touch a row twice (21000). `order by`: two that write the
 * same rows take them in the same order and cannot deadlock. The inner select: a conflict whose `where` fails still locks
 * the row, which is a write; as a scalar it is one look-up per row, where `not exists` was planned as a scan of the table.
 */
function upsertStatement(rows: readonly TallyRow[]): SQL {
  const column = (name: keyof TallyRow) => arrayLiteral(rows.map((row) => row[name]));
  // fault: Postgres adds up what one merge has twice
  // fault: Postgres adds instead of keeping the maximum
  // fault: Postgres writes rows in no order
  return sql`
    insert into ${usageTallies} as stored (period, backend, dimension, writer, amount)
    select sent.period, sent.backend, sent.dimension, sent.writer, max(sent.amount)
    from unnest(${column("period")}::text[], ${column("backend")}::text[], ${column("dimension")}::text[],
      ${column("writer")}::text[], ${column("amount")}::bigint[]) as sent (period, backend, dimension, writer, amount)
    where sent.amount > coalesce((
      select known.amount from ${usageTallies} as known
      where known.period = sent.period and known.backend = sent.backend and known.dimension = sent.dimension
        and known.writer = sent.writer
    ), -1)
    group by sent.period, sent.backend, sent.dimension, sent.writer
    order by sent.period, sent.backend, sent.dimension, sent.writer
    on conflict (period, backend, dimension, writer) do update
    set amount = excluded.amount, updated_at = excluded.updated_at
    where excluded.amount > stored.amount`;
}
