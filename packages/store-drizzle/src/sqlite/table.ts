import { and, eq, gt, gte, lte, max, min, sql } from "drizzle-orm";
import type { CheckedTally } from "../checked-tally.ts";
import { datedPeriod, hourIn } from "../dated-periods.ts";
import type { BackendUsage, UsageTable } from "../usage-table.ts";
import { changeStatements } from "./changes.ts";
import { foldRows } from "./fold-rows.ts";
import { grantStatements } from "./grants.ts";
import { instanceStatements } from "./instances.ts";
import { markStatements } from "./marks.ts";
import { mergeStatements, rowsText } from "./merge-statements.ts";
import { OwnSpans, type Span, type TimeRange } from "./own-spans.ts";
import {
  changedPages,
  type Reading,
  rowPages,
  type SqliteDatabase,
  type SumRow,
  sumPages,
  sumPagesOf,
} from "./pages.ts";
import type { Attempt } from "./retry-while-busy.ts";
import type { SqliteTables } from "./schema.ts";
import { timelineStatements } from "./timeline.ts";

export interface SqliteTableOptions {
  readonly tables: SqliteTables;
  readonly attempt: Attempt;
  /** When what grows is used, in milliseconds since the Unix epoch; absent where no timeline is kept. */
  readonly now?: (() => number) | undefined;
}

/** The tables of a store in SQLite. Each statement is a transaction of its own: none is left open between two turns. */
export function sqliteUsageTable<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  { tables, attempt, now }: SqliteTableOptions,
): UsageTable {
  const { tallies, folds, marks, grants } = tables;
  const { period, backend, updatedAt } = tallies;
  const reading: Reading<TSchema> = { db, tallies, attempt };

  const { removal, ...ofTimeline } = timelineStatements(db, attempt, tables.timeline);

  // With the first merge: by then the tables are there.
  let prepared: ReturnType<typeof mergeStatements> | undefined;
  const statements = () => {
    prepared ??= mergeStatements(db, tables);
    return prepared;
  };
  const ownSpans = new OwnSpans();

  const foldedOf = (periods: readonly string[]): readonly string[] =>
    statements()
      .folded.all({ periods: JSON.stringify(periods) })
      .map((row) => row.period);

  /** Returns the times that this has written, after the last one of before. */
  const upsertPeriod = (key: string, sent: readonly CheckedTally[], at: number | undefined): Span => {
    const { times, date, upsert } = statements();
    const timesOf = () => times.get({ period: key }) ?? { last: 0, now: 0 };
    const { last, now: clock } = timesOf();
    const dated = now === undefined ? undefined : datedPeriod(key);
    for (const [writer, tallies] of Map.groupBy(sent, ({ tally }) => tally.writer)) {
      // Later than before, so that times come in the order of commits: a clock that steps back hides no change.
      // fault: SQLite's times follow a clock that steps back
      const given = { period: key, writer, rows: rowsText(tallies), time: Math.max(clock, last + 1) };
      if (dated !== undefined) date.run({ ...given, hour: hourIn(dated, at ?? now?.() ?? 0) });
      upsert.run(given);
    }
    return { period: key, after: last, upTo: timesOf().last };
  };

  async function* changed(key: string, times: readonly TimeRange[], backends: readonly string[] | undefined) {
    const asked = backends === undefined ? undefined : new Set(backends);
    const told = new Set<string>();
    for (const range of times) {
      for await (const page of changedPages(reading, key, range)) {
        const names = [...new Set(page)].filter((name) => !told.has(name) && asked?.has(name) !== false);
        for (const name of names) told.add(name);
        yield names;
      }
    }
  }

  return {
    rowsPerChunk: 750,
    pipelined: false,
    refusal: /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG)/,

    async upsert(sent, { signal, at, writer: own }) {
      const byPeriod = Map.groupBy(sent, ({ tally }) => tally.period);
      // fault: SQLite takes for a writer's own what it merged of others
      const isOwn = own !== undefined && sent.every(({ tally }) => tally.writer === own);
      const write = () => Array.from(byPeriod, ([key, ofPeriod]) => upsertPeriod(key, ofPeriod, at));
      const writeAll = () => {
        // fault: SQLite dates usage in another transaction than that in which it stores it
        const spans = db.transaction(write, { behavior: "immediate" });
        if (isOwn) for (const span of spans) ownSpans.add(own, span);
        // Afterwards: a period that another process closes in between is refused though it may have been stored, never the other way.
        return foldedOf([...byPeriod.keys()]);
      };
      return await attempt("merge", writeAll, signal);
    },

    async periodBetween(from, to, included) {
      const where = and(
        included ? gte(period, from) : gt(period, from),
        to === undefined ? undefined : lte(period, to),
      );
      const row = await attempt("reading the periods", () =>
        db
          .select({ first: min(period) })
          .from(tallies)
          .where(where)
          .get(),
      );
      return row?.first ?? undefined;
    },

    async position(key) {
      const read = () => {
        const row = db
          .select({ at: sql`coalesce(${max(updatedAt)}, 0)`.mapWith(Number) })
          .from(tallies)
          .where(eq(period, key))
          .get();
        const at = row?.at ?? 0;
        ownSpans.keepUpTo(key, at);
        return at;
      };
      return { at: await attempt("reading the totals", read), database: "" };
    },

    async *usage(key, writer, { backends, since } = {}) {
      if (since !== undefined) {
        for await (const names of changed(key, ownSpans.others(key, writer, since), backends)) {
          for await (const rows of sumPagesOf(reading, key, writer, names)) yield grouped(rows);
        }
      } else if (backends !== undefined) {
        for await (const rows of sumPagesOf(reading, key, writer, backends)) yield grouped(rows);
      } else {
        for await (const rows of sumPages(reading, key, writer)) yield grouped(rows);
      }
    },

    async *tallies(key, backends) {
      for await (const rows of rowPages(reading, key, backends)) {
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
      const removeBoth = (): void => {
        // fault: SQLite removes a backend and keeps its timeline
        db.run(removal(key, name));
        db.delete(tallies).where(where).run();
      };
      await attempt("remove", () => db.transaction(removeBoth, { behavior: "immediate" }));
    },

    ...markStatements(db, attempt, marks),
    ...grantStatements(db, attempt, grants),
    ...ofTimeline,
    ...instanceStatements(reading, tables.instances),
    ...changeStatements(db, attempt, tables.changes),

    folded: (periods) => attempt("fold", () => foldedOf(periods)),

    async close(periods) {
      const values = periods.map((key) => ({ period: key }));
      await attempt("fold", () => db.insert(folds).values(values).onConflictDoNothing().run());
    },

    foldRows: (key) => foldRows(reading, key),
  };
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
