import { and, asc, eq, gt, inArray, lte, sql } from "drizzle-orm";
import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";
import type { Attempt } from "./retry-while-busy.ts";
import { usageTallies } from "./schema.ts";

/** Reading this many rows holds the event loop for a few milliseconds. */
const ROWS_PER_PAGE = 1_000;
/** Rows that a backend is taken to have until a page has shown it: three dimensions, ten writers. */
const ASSUMED_ROWS_PER_BACKEND = 30;
const MAX_AMOUNT = sql.raw(String(Number.MAX_SAFE_INTEGER));
const { period, backend, dimension, writer, amount } = usageTallies;

type SqliteDatabase<TSchema extends Record<string, unknown>> = BaseSQLiteDatabase<"sync", unknown, TSchema>;

/** One dimension of a backend: the sum over writers, and the part of it that one of them counted. */
export interface SumRow {
  readonly backend: string;
  readonly dimension: string;
  readonly all: number;
  readonly own: number;
}

/**
 * The sums of all backends in a period, ordered by the bytes of their names: each backend's from one read. Where a page
 * ends is decided by rows and not by backends, since many writers may have counted for one backend.
 */
export async function* sumPages<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  attempt: Attempt,
  key: string,
  own: string,
): AsyncGenerator<readonly SumRow[]> {
  let after: string | undefined = "";
  while (after !== undefined) {
    const start: string = after;
    const upTo: string | undefined = await attempt("reading the totals", () => backendAt(db, key, start));
    const range = and(gt(backend, start), upTo === undefined ? undefined : lte(backend, upTo));
    yield await attempt("reading the totals", () => sums(db, own, and(eq(period, key), range)));
    after = upTo;
  }
}

/** The sums of one backend. */
export function backendSums<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  attempt: Attempt,
  key: string,
  own: string,
  name: string,
): Promise<readonly SumRow[]> {
  return attempt("reading the totals", () => sums(db, own, and(eq(period, key), eq(backend, name))));
}

/** All rows of some backends. A page's size follows from the rows per backend of the page before. */
export async function* rowPages<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  attempt: Attempt,
  key: string,
  backends: readonly string[],
) {
  let start = 0;
  let size = Math.ceil(ROWS_PER_PAGE / ASSUMED_ROWS_PER_BACKEND);
  while (start < backends.length) {
    const page = backends.slice(start, start + size);
    const names = sql`(select value from json_each(${JSON.stringify(page)}))`;
    const rows = await attempt("reading the tallies", () =>
      db
        .select({ backend, dimension, writer, amount: sql`${amount}`.mapWith(Number) })
        .from(usageTallies)
        .where(and(eq(period, key), inArray(backend, names)))
        .all(),
    );
    yield rows;
    start += page.length;
    size = Math.max(1, Math.floor((ROWS_PER_PAGE * page.length) / Math.max(rows.length, page.length)));
  }
}

/** The backend of the row that stands a page behind the first one after backend `after`. */
function backendAt<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  key: string,
  after: string,
): string | undefined {
  return db
    .select({ backend })
    .from(usageTallies)
    .where(and(eq(period, key), gt(backend, after)))
    .orderBy(asc(backend), asc(dimension), asc(writer))
    .limit(1)
    .offset(ROWS_PER_PAGE)
    .get()?.backend;
}

function sums<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  own: string,
  where: ReturnType<typeof and>,
): readonly SumRow[] {
  return db
    .select({
      backend,
      dimension,
      // total() is exact to 2^53, and unlike sum() it does not fail past 2^63.
      all: sql`min(total(${amount}), ${MAX_AMOUNT})`.mapWith(Number),
      own: sql`min(total(${amount}) filter (where ${writer} = ${own}), ${MAX_AMOUNT})`.mapWith(Number),
    })
    .from(usageTallies)
    .where(where)
    .groupBy(backend, dimension)
    .orderBy(asc(backend), asc(dimension))
    .all();
}
