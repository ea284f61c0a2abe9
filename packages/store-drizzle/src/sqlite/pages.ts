import { and, asc, eq, gt, inArray, lte, type SQL, sql } from "drizzle-orm";
import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";
import { MAX_AMOUNT } from "../max-amount.ts";
import type { TimeRange } from "./own-spans.ts";
import type { Attempt } from "./retry-while-busy.ts";
import type { SqliteTables } from "./schema.ts";

/** Reading this many rows holds the event loop for a few milliseconds. */
const ROWS_PER_PAGE = 1_000;
/** Backends of a first page: each is taken to have 30 rows, of three dimensions and ten writers, until a page has shown it. */
const FIRST_PAGE = 34;

export type Tallies = SqliteTables["tallies"];
export type SqliteDatabase<TSchema extends Record<string, unknown>> = BaseSQLiteDatabase<"sync", unknown, TSchema>;

/** What is read of which database. */
export interface Reading<TSchema extends Record<string, unknown>> {
  readonly db: SqliteDatabase<TSchema>;
  readonly tallies: Tallies;
  readonly attempt: Attempt;
}

/** One dimension of a backend: the sum over writers, and the part of it that one of them counted. */
export interface SumRow {
  readonly backend: string;
  readonly dimension: string;
  readonly all: number;
  readonly own: number;
  /** How many rows that is. */
  readonly rows: number;
}

/**
 * The sums of all backends in a period, ordered by the bytes of their names: each backend's from one read. Where a page
 * ends is decided by rows and not by backends, since many writers may have counted for one backend.
 */
export async function* sumPages<TSchema extends Record<string, unknown>>(
  reading: Reading<TSchema>,
  key: string,
  own: string,
): AsyncGenerator<readonly SumRow[]> {
  const { attempt, tallies } = reading;
  for await (const range of backendRanges(reading, key, "reading the totals")) {
    yield await attempt("reading the totals", () => sums(reading, own, and(eq(tallies.period, key), range)));
  }
}

/** The sums of some backends. */
export async function* sumPagesOf<TSchema extends Record<string, unknown>>(
  reading: Reading<TSchema>,
  key: string,
  own: string,
  backends: readonly string[],
): AsyncGenerator<readonly SumRow[]> {
  const { attempt, tallies } = reading;
  for (let start = 0, size = FIRST_PAGE; start < backends.length; ) {
    const page = backends.slice(start, start + size);
    const where = and(eq(tallies.period, key), isAmong(tallies, page));
    const found = await attempt("reading the totals", () => sums(reading, own, where));
    yield found;
    start += page.length;
    size = nextPage(
      page,
      found.reduce((rows, sum) => rows + sum.rows, 0),
    );
  }
}

/** Backends that changed within these times, in milliseconds since the epoch; some of them several times. */
export async function* changedPages<TSchema extends Record<string, unknown>>(
  { db, tallies, attempt }: Reading<TSchema>,
  key: string,
  [from, to]: TimeRange,
): AsyncGenerator<readonly string[]> {
  const { period, backend } = tallies;
  const time = sql`${tallies.updatedAt}`.mapWith(Number);
  let after: { readonly backend: string; readonly time: number } | undefined;
  do {
    const last = after;
    const later =
      last === undefined
        ? sql`${tallies.updatedAt} >= ${from}`
        : sql`(${tallies.updatedAt}, ${backend}) > (${last.time}, ${last.backend})`;
    const page = await attempt("reading the totals", () =>
      db
        .select({ backend, time })
        .from(tallies)
        .where(and(eq(period, key), later, sql`${tallies.updatedAt} <= ${to}`))
        .orderBy(asc(tallies.updatedAt), asc(backend))
        .limit(ROWS_PER_PAGE)
        .all(),
    );
    yield page.map((row) => row.backend);
    after = page.length < ROWS_PER_PAGE ? undefined : page.at(-1);
  } while (after !== undefined);
}

/** All rows of some backends. */
export async function* rowPages<TSchema extends Record<string, unknown>>(
  { db, tallies, attempt }: Reading<TSchema>,
  key: string,
  backends: readonly string[],
) {
  const { period, backend, dimension, writer, amount } = tallies;
  for (let start = 0, size = FIRST_PAGE; start < backends.length; ) {
    const page = backends.slice(start, start + size);
    const rows = await attempt("reading the tallies", () =>
      db
        .select({ backend, dimension, writer, amount: sql`${amount}`.mapWith(Number) })
        .from(tallies)
        .where(and(eq(period, key), isAmong(tallies, page)))
        .all(),
    );
    yield rows;
    start += page.length;
    size = nextPage(page, rows.length);
  }
}

/** Conditions that divide the backends of a period into pages, each backend in one of them. */
export async function* backendRanges<TSchema extends Record<string, unknown>>(
  { db, tallies, attempt }: Reading<TSchema>,
  key: string,
  operation: string,
): AsyncGenerator<SQL | undefined> {
  const { period, backend, dimension, writer } = tallies;
  let after: string | undefined = "";
  while (after !== undefined) {
    const start: string = after;
    /** That of the row that stands a page behind the first one. */
    const upTo: string | undefined = await attempt(
      operation,
      () =>
        db
          .select({ backend })
          .from(tallies)
          .where(and(eq(period, key), gt(backend, start)))
          .orderBy(asc(backend), asc(dimension), asc(writer))
          .limit(1)
          .offset(ROWS_PER_PAGE)
          .get()?.backend,
    );
    yield and(gt(backend, start), upTo === undefined ? undefined : lte(backend, upTo));
    after = upTo;
  }
}

/** How many backends the next page has: it follows from the rows per backend of the page before. */
function nextPage(page: readonly string[], rows: number): number {
  return Math.max(1, Math.floor((ROWS_PER_PAGE * page.length) / Math.max(rows, page.length)));
}

function isAmong({ backend }: Tallies, names: readonly string[]): SQL {
  return inArray(backend, sql`(select value from json_each(${JSON.stringify(names)}))`);
}

function sums<TSchema extends Record<string, unknown>>(
  { db, tallies }: Reading<TSchema>,
  own: string,
  where: SQL | undefined,
): readonly SumRow[] {
  const { backend, dimension, writer, amount } = tallies;
  return db
    .select({
      backend,
      dimension,
      // total() is exact to 2^53, and unlike sum() it does not fail past 2^63.
      all: sql`min(total(${amount}), ${MAX_AMOUNT})`.mapWith(Number),
      own: sql`min(total(${amount}) filter (where ${writer} = ${own}), ${MAX_AMOUNT})`.mapWith(Number),
      rows: sql`count(*)`.mapWith(Number),
    })
    .from(tallies)
    .where(where)
    .groupBy(backend, dimension)
    .orderBy(asc(backend), asc(dimension))
    .all();
}
