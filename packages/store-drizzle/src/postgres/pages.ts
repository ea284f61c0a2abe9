import { and, eq, gt, ne, type SQL, sql } from "drizzle-orm";
import type { PgColumn, PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { MAX_AMOUNT } from "../max-amount.ts";
import { FOLDED_WRITER } from "../usage-table.ts";
import { arrayLiteral } from "./array-literal.ts";
import type { Run } from "./deadline.ts";
import type { PostgresTables } from "./schema.ts";

/** Parsing a page of this many backends or tallies holds the event loop for about a millisecond. */
const ENTRIES_PER_PAGE = sql.raw("500");
/** Others wait as long as it takes to fold them: some milliseconds. */
const BACKENDS_PER_FOLD = 500;

type Tallies = PostgresTables["tallies"];
type PostgresDatabase<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>> = PgDatabase<
  TResult,
  TSchema
>;
type Amounts = Readonly<Record<string, number>>;

/** The backend's name, its sums by dimension over all writers, and the asking writer's part of them. */
export type UsageEntry = readonly [backend: string, all: Amounts, own: Amounts];
/** One writer's amounts by dimension. */
export type TallyEntry = readonly [backend: string, writer: string, amounts: Amounts];

interface UsageRead {
  readonly period: string;
  /** Whose part of it is told, too. */
  readonly writer: string;
  /** Only of these. */
  readonly names: readonly string[] | undefined;
  /** Only of what changed then or later, in microseconds since the epoch. */
  readonly since: number | undefined;
  /** But for what the writer has changed of its own at these times. */
  readonly known: readonly string[];
}

/** The usage of backends in a period, ordered by the bytes of their names. */
export async function usagePages<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PostgresDatabase<TResult, TSchema>>,
  tallies: Tallies,
  { period: key, writer: own, names, since, known }: UsageRead,
): Promise<readonly string[]> {
  const { period, backend, dimension, writer, amount, updatedAt } = tallies;
  const time = sql`timestamptz 'epoch' + ${since ?? 0}::bigint * interval '1 microsecond'`;
  // fault: Postgres takes for a writer's own what it merged of others
  const changed = sql`(select distinct ${backend} as backend from ${tallies}
    where ${period} = ${key} and ${updatedAt} >= ${time}
      and not (${writer} = ${own} and ${updatedAt} = any(${arrayLiteral(known)}::timestamptz[])))`;
  const where = and(
    eq(period, key),
    names === undefined ? undefined : sql`${backend} = any(${arrayLiteral(names)}::text[])`,
    since === undefined ? undefined : sql`${backend} in ${changed}`,
  );
  const sums = (db: PostgresDatabase<TResult, TSchema>) =>
    db
      .select({
        name: sql`${backend}`.as("name"),
        dimension: sql`${dimension}`.as("dimension"),
        all: sql`least(sum(${amount}), ${MAX_AMOUNT})`.as("all_writers"),
        own: sql`least(coalesce(sum(${amount}) filter (where ${writer} = ${own}), 0), ${MAX_AMOUNT})`.as("own"),
      })
      .from(tallies)
      .where(where)
      .groupBy(backend, dimension)
      .as("sums");
  const entries = (db: PostgresDatabase<TResult, TSchema>) => sql`
    select row_number() over (order by name collate "C") - 1 as number,
      json_build_array(name, json_object_agg(dimension, all_writers), json_object_agg(dimension, own)) as entry
    from ${sums(db)} group by name`;
  return run("reading the totals", (db) => paged(db, entries(db)));
}

/** The rows of some backends, by writer. */
export async function tallyPages<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PostgresDatabase<TResult, TSchema>>,
  tallies: Tallies,
  key: string,
  names: readonly string[],
): Promise<readonly string[]> {
  const { period, backend, dimension, writer, amount } = tallies;
  const entries = sql`
    select row_number() over () - 1 as number,
      json_build_array(${backend}, ${writer}, json_object_agg(${dimension}, ${amount})) as entry
    from ${tallies} where ${period} = ${key} and ${backend} = any(${arrayLiteral(names)}::text[])
    group by ${backend}, ${writer}`;
  return run("reading the tallies", (db) => paged(db, entries));
}

/** The next backends after one that have rows of writers in a period, in the order that their column has. */
export async function foldable<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  db: PostgresDatabase<TResult, TSchema>,
  tallies: Tallies,
  key: string,
  after: string,
): Promise<readonly string[]> {
  const { period, backend, writer } = tallies;
  const rows = await db
    .selectDistinct({ backend })
    .from(tallies)
    .where(and(eq(period, key), gt(backend, after), ne(writer, FOLDED_WRITER)))
    .orderBy(backend)
    .limit(BACKENDS_PER_FOLD);
  return rows.map((row) => row.backend);
}

/**
 * Entries as JSON, many to a row: drivers and drizzle map a result's cells in one go, which for the four cells of each of
 * 30,000 rows held the event loop for tens of milliseconds. One statement, so that all of it is from one read.
 */
export async function paged<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  db: PostgresDatabase<TResult, TSchema>,
  entries: SQL,
): Promise<readonly string[]> {
  const rows = await db
    .select({ page: sql<string>`json_agg(entry order by number)::text` })
    .from(sql`(${entries}) as entries`)
    .groupBy(sql`number / ${ENTRIES_PER_PAGE}`)
    .orderBy(sql`number / ${ENTRIES_PER_PAGE}`);
  return rows.map((row) => row.page);
}

/** Text in the order of its bytes, also where the table was made without `collate "C"`. */
export function bytes(column: PgColumn): SQL {
  return sql`${column} collate "C"`;
}
