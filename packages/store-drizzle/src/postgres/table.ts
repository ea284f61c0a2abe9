import { and, eq, inArray, sql } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { datedPeriod } from "../dated-periods.ts";
import { StoreError } from "../errors.ts";
import type { Position, UsageTable } from "../usage-table.ts";
import { changeStatements } from "./changes.ts";
import { dateStatement } from "./date-statement.ts";
import { REFUSAL, type Run } from "./deadline.ts";
import { closeStatement, foldStatement } from "./fold-statements.ts";
import { grantStatements } from "./grants.ts";
import { instanceStatements } from "./instances.ts";
import { markStatements } from "./marks.ts";
import { OwnTimes } from "./own-times.ts";
import { bytes, foldable, type TallyEntry, tallyPages, type UsageEntry, usagePages } from "./pages.ts";
import type { PostgresTables } from "./schema.ts";
import { timelineStatements } from "./timeline.ts";
import { timeStatement, upsertStatement } from "./upsert-statement.ts";

/** A table of so many names is read at once. */
const NAMES_PER_READ = 10_000;

export interface PostgresTableOptions {
  readonly tables: PostgresTables;
  /** How long a statement may take that writes: until then, what it wrote may have times of before, and not be seen. */
  readonly overlapMs: number;
  /** Whether what grows is added to the timeline. */
  readonly isTimed: boolean;
}

/** The tables of a store in Postgres. Each statement is a transaction of its own, which also holds behind a pooler. */
export function postgresUsageTable<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PgDatabase<TResult, TSchema>>,
  { tables, overlapMs, isTimed }: PostgresTableOptions,
): UsageTable {
  const { tallies, folds, marks, grants, timeline } = tables;
  const { period, backend, updatedAt } = tallies;
  const ownTimes = new OwnTimes();

  return {
    rowsPerChunk: 2_000,
    pipelined: true,
    refusal: REFUSAL,

    async upsert(sent, { at: atMs, writer: own }) {
      const periods = [...new Set(sent.map(({ tally }) => tally.period))];
      const dated = isTimed ? periods.flatMap((key) => datedPeriod(key) ?? []) : [];
      const [row] = await run("merge", (db) => {
        const moment = db.$with("moment", {}).as(timeStatement(tables, periods));
        const upserted = { tallies: sent, isDated: dated.length > 0 };
        const written = db.$with("written", {}).as(upsertStatement(tables, upserted, sql`moment`));
        const statement = () => dateStatement(tables, sql`written`, { periods: dated, atMs });
        const dating = dated.length > 0 ? [db.$with("dated", {}).as(statement())] : [];
        const late = db.select({ period: folds.period }).from(folds).where(inArray(folds.period, periods));
        return db
          .with(moment, written, ...dating)
          .select({
            time: sql<string>`to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'`,
            folded: sql<string>`array_to_json(array(${late}))::text`,
          })
          .from(sql`moment`);
      });
      if (row === undefined) {
        const cause = new Error("the statement returned no row");
        throw new StoreError("merge", undefined, "merge again: nothing is counted twice", cause);
      }
      if (own !== undefined) for (const key of periods) ownTimes.add(key, own, row.time);
      return JSON.parse(row.folded);
    },

    async periodBetween(from, to, included) {
      const lower = included ? sql`${bytes(period)} >= ${from}` : sql`${bytes(period)} > ${from}`;
      const where = and(lower, to === undefined ? undefined : sql`${bytes(period)} <= ${to}`);
      const [row] = await run("reading the periods", (db) =>
        db.select({ period }).from(tallies).where(where).orderBy(bytes(period)).limit(1),
      );
      return row?.period;
    },

    async position(key): Promise<Position> {
      // In microseconds. By the clock where nothing changed for a while: the last change would be told again and again. The server's
      // start: after a failover, what was known of the old one says nothing of the new one.
      const [row] = await run("reading the totals", (db) =>
        db
          .select({
            at: sql`(extract(epoch from greatest(max(${updatedAt}), clock_timestamp())) * 1000000)::bigint`.mapWith(
              Number,
            ),
            database: sql<string>`extract(epoch from pg_postmaster_start_time())::text`,
          })
          .from(tallies)
          .where(eq(period, key)),
      );
      return row ?? { at: 0, database: "" };
    },

    async *usage(key, own, { backends, since } = {}) {
      // fault: Postgres looks no further back than the last change it has seen
      const from = since === undefined ? undefined : since - overlapMs * 1_000;
      for (const names of backends === undefined ? [undefined] : chunks(backends)) {
        const known = ownTimes.of(key, own);
        const pages = await usagePages(run, tallies, { period: key, writer: own, names, since: from, known });
        for (const page of pages) {
          const entries: readonly UsageEntry[] = JSON.parse(page);
          yield entries.map(([backend, all, own]) => ({ backend, all, own }));
        }
      }
    },

    async *tallies(key, backends) {
      for (const names of chunks(backends)) {
        for (const page of await tallyPages(run, tallies, key, names)) {
          const entries: readonly TallyEntry[] = JSON.parse(page);
          yield entries.map(([backend, writer, usage]) => ({ writer, period: key, backend, usage }));
        }
      }
    },

    async remove(key, name) {
      const ofTimeline = and(eq(timeline.period, key), eq(timeline.backend, name));
      await run("remove", (db) => {
        const gone = db.$with("gone").as(db.delete(timeline).where(ofTimeline).returning({ hour: timeline.hour }));
        return db
          .with(gone)
          .delete(tallies)
          .where(and(eq(period, key), eq(backend, name)));
      });
    },

    ...markStatements(run, marks),
    ...grantStatements(run, grants),
    ...timelineStatements(run, timeline),
    ...instanceStatements(run, tables),
    ...changeStatements(run, tables.changes),

    async folded(periods) {
      const rows = await run("fold", (db) =>
        db
          .select({ period: folds.period })
          .from(folds)
          .where(inArray(folds.period, [...periods])),
      );
      return rows.map((row) => row.period);
    },

    async close(periods) {
      const [row] = await run("fold", (db) =>
        db.select({ level: sql<string>`level` }).from(sql`current_setting('transaction_isolation') as level`),
      );
      // fault: folds where merges do not see it
      if (row?.level !== "read committed") throw isolationError(String(row?.level));
      await run("fold", (db) => db.execute(closeStatement(tables, periods)));
    },

    async *foldRows(key) {
      for (let after = ""; ; ) {
        const page = await run("fold", (db) => foldable(db, tallies, key, after));
        const [first] = page;
        const last = page.at(-1);
        if (first === undefined || last === undefined) return;
        await run("fold", (db) => db.execute(foldStatement(tables, key, [first, last])));
        yield;
        after = last;
      }
    },
  };
}

function* chunks(names: readonly string[]): Generator<readonly string[]> {
  for (let start = 0; start < names.length; start += NAMES_PER_READ) yield names.slice(start, start + NAMES_PER_READ);
}

function isolationError(level: string): StoreError {
  const cause = new Error(`transactions are ${level} here, in which a merge that waits for the fold would not see it`);
  return new StoreError(
    "fold",
    undefined,
    "set default_transaction_isolation to 'read committed' for all instances",
    cause,
  );
}
