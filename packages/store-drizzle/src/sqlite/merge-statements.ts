import { eq, inArray, sql } from "drizzle-orm";
import type { CheckedTally } from "../checked-tally.ts";
import { MAX_AMOUNT } from "../max-amount.ts";
import { NOW } from "./now.ts";
import type { SqliteDatabase } from "./pages.ts";
import type { SqliteTables } from "./schema.ts";

/** What the statements of a merge are given by name: rows of one writer in one period. */
export interface Sent {
  readonly period: string;
  readonly writer: string;
  /** JSON, of `rowsText`. */
  readonly rows: string;
  /** When they change, in milliseconds since the Unix epoch. */
  readonly time: number;
}

/** The statements of a merge, which are prepared once. */
export function mergeStatements<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  { tallies, folds, timeline }: SqliteTables,
) {
  const { period, backend, dimension, writer, amount } = tallies;
  const given = (name: keyof Sent | "hour") => sql`${sql.placeholder(name)}`;
  const rows = sql`json_each(${given("rows")})`;
  // fault: SQLite stores what is late of a folded period
  const isOpen = sql`not exists (select 1 from ${folds} where period = ${given("period")})`;
  // fault: SQLite adds instead of keeping the maximum
  // fault: SQLite adds what it has already
  // fault: SQLite keeps what came last
  // fault: SQLite touches what did not grow
  const growing = {
    set: { amount: sql`excluded.amount`, updatedAt: sql`excluded.updated_at` },
    setWhere: sql`excluded.amount > ${amount}`,
  };
  // fault: SQLite dates all of an amount, and not by how much it grew
  const grown = sql`value ->> 2 - coalesce(stored.amount, 0)`;
  return {
    /** When a period last changed, and what time it is, in milliseconds. */
    times: db
      .select({
        last: sql`coalesce(max(${tallies.updatedAt}), 0)`.mapWith(Number),
        now: sql`${NOW}`.mapWith(Number),
      })
      .from(tallies)
      .where(eq(period, sql.placeholder("period")))
      .prepare(),
    /** Keeps the larger amounts. Where nothing grew, nothing is written, and nothing of a folded period. */
    upsert: db
      .insert(tallies)
      .select(
        sql`select ${given("period")}, value ->> 0, value ->> 1, ${given("writer")}, value ->> 2, ${given("time")}
          from ${rows} where ${isOpen}`,
      )
      .onConflictDoUpdate({ target: [period, backend, dimension, writer], ...growing })
      .prepare(),
    /** Adds to an hour by how much the rows will let amounts grow: before they are upserted, in the same transaction. */
    date: db
      .insert(timeline)
      .select(
        sql`select ${given("period")}, ${given("hour")}, value ->> 0, value ->> 1, ${grown}
          from ${rows} left join ${tallies} as stored on stored.period = ${given("period")} and stored.backend = value ->> 0
            and stored.dimension = value ->> 1 and stored.writer = ${given("writer")}
          where value ->> 2 > coalesce(stored.amount, 0) and ${isOpen}`,
      )
      .onConflictDoUpdate({
        target: [timeline.period, timeline.hour, timeline.backend, timeline.dimension],
        set: { amount: sql`min(${timeline.amount} + excluded.amount, ${MAX_AMOUNT})` },
      })
      .prepare(),
    /** Which of some periods, in JSON, take no rows any more. */
    folded: db
      .select({ period: folds.period })
      .from(folds)
      .where(inArray(folds.period, sql`(select value from json_each(${sql.placeholder("periods")}))`))
      .prepare(),
  };
}

/** Backend, dimension and amount of each row. */
export function rowsText(tallies: readonly CheckedTally[]): string {
  return JSON.stringify(
    tallies.flatMap(({ tally, amounts }) => amounts.map(([dimension, amount]) => [tally.backend, dimension, amount])),
  );
}
