import type { TimelineQuery, TimelineStep } from "@usage/counter-core";
import { STEP_MS, stepStart } from "@usage/counter-core/internal";
import { and, eq, gt, inArray, min, type SQL, sql } from "drizzle-orm";
import { MAX_AMOUNT } from "../max-amount.ts";
import type { UsageTable } from "../usage-table.ts";
import type { SqliteDatabase } from "./pages.ts";
import type { Attempt } from "./retry-while-busy.ts";
import type { SqliteTables } from "./schema.ts";

/** Reading or writing so many rows holds the event loop for a few milliseconds. */
const ROWS_PER_PAGE = 2_000;
const ROWS_PER_FOLD = 500;

/** What is asked of the timeline. */
export function timelineStatements<TSchema extends Record<string, unknown>>(
  db: SqliteDatabase<TSchema>,
  attempt: Attempt,
  timeline: SqliteTables["timeline"],
): Pick<UsageTable, "timeline" | "foldTimeline" | "timelinePeriodAfter"> & {
  removal(period: string, backend: string): SQL;
} {
  const { period, hour, backend, dimension } = timeline;
  const hourMs = sql`${hour}`.mapWith(Number);

  /** The next hour of a period that has rows: one look into the index. */
  const hourFrom = (key: string, fromMs: number): number | undefined =>
    db
      .select({ hour: sql<number | null>`min(${hour})` })
      .from(timeline)
      .where(and(eq(period, key), sql`${hour} >= ${fromMs}`))
      .get()?.hour ?? undefined;

  const stepsOf = (key: string, where: SQL | undefined, { step }: TimelineQuery): readonly TimelineStep[] => {
    const rows = db
      .select({ hour: hourMs, backend, dimension, amount: sql`${timeline.amount}`.mapWith(Number) })
      .from(timeline)
      .where(and(eq(period, key), where))
      .all();
    return rows.map((row) => ({
      start: stepStart(step, row.hour),
      backend: row.backend,
      usage: { [row.dimension]: row.amount },
    }));
  };

  return {
    async *timeline(key, query) {
      const { from = 0, to = Number.MAX_SAFE_INTEGER, backends } = query;
      const among =
        backends === undefined
          ? undefined
          : inArray(backend, sql`(select value from json_each(${JSON.stringify(backends)}))`);
      let hours = 1;
      for (let start: number | undefined = from; ; ) {
        start = await attempt("reading the timeline", () => hourFrom(key, start ?? from));
        if (start === undefined || start >= to) return;
        const end: number = Math.min(to, start + hours * STEP_MS.hour);
        const where = and(
          sql`${hour} in (select value from json_each(${JSON.stringify(hoursFrom(start, end))}))`,
          among,
        );
        const page = await attempt("reading the timeline", () => stepsOf(key, where, query));
        yield page;
        hours = nextHours(hours, page.length);
        start = end;
      }
    },

    async *foldTimeline(key, { hoursBefore, daysBefore }) {
      for (let start: number | undefined = 0; ; start += STEP_MS.hour) {
        const from: number = start;
        start = await attempt("folding the timeline", () => hourFrom(key, from));
        if (start === undefined || start >= hoursBefore) return;
        const at = start;
        const day = stepStart("day", at);
        if (day >= daysBefore && at === day) continue;
        const rows = sql`(select ${backend}, ${dimension} from ${timeline}
          where ${period} = ${key} and ${hour} = ${at} order by ${backend}, ${dimension} limit ${ROWS_PER_FOLD})`;
        const page = sql`period = ${key} and hour = ${at} and (backend, dimension) in ${rows}`;
        const isLeft = (): boolean => {
          // fault: SQLite deletes old hours without adding them to their day
          if (day >= daysBefore) db.run(moved(timeline, page, day));
          db.run(sql`delete from ${timeline} where ${page}`);
          return (
            db
              .select({ hour })
              .from(timeline)
              .where(and(eq(period, key), sql`${hour} = ${at}`))
              .limit(1)
              .get() !== undefined
          );
        };
        while (await attempt("folding the timeline", () => db.transaction(isLeft, { behavior: "immediate" }))) yield;
        yield;
      }
    },

    async timelinePeriodAfter(from) {
      const row = await attempt("folding the timeline", () =>
        db
          .select({ first: min(period) })
          .from(timeline)
          .where(gt(period, from))
          .get(),
      );
      return row?.first ?? undefined;
    },

    // By its hours: a scan of all backends of a period would hold the event loop.
    removal: (key, name) => sql`
      with recursive hours (hour) as (
        select min(hour) from ${timeline} where period = ${key}
        union all
        select (select min(later.hour) from ${timeline} as later where later.period = ${key} and later.hour > hours.hour)
        from hours where hours.hour is not null
      )
      delete from ${timeline} where period = ${key} and hour in (select hour from hours) and backend = ${name}`,
  };
}

function moved(timeline: SqliteTables["timeline"], page: SQL, day: number): SQL {
  return sql`
    insert into ${timeline} as known (period, hour, backend, dimension, amount)
    select period, ${day}, backend, dimension, amount from ${timeline} where ${page}
    on conflict (period, hour, backend, dimension) do update
    set amount = min(known.amount + excluded.amount, ${MAX_AMOUNT})`;
}

function hoursFrom(start: number, end: number): readonly number[] {
  return Array.from({ length: Math.ceil((end - start) / STEP_MS.hour) }, (_, index) => start + index * STEP_MS.hour);
}

/** How many hours the next page has: it follows from the rows of the page before. */
function nextHours(hours: number, rows: number): number {
  if (rows > ROWS_PER_PAGE) return Math.max(1, hours >> 1);
  return rows * 2 <= ROWS_PER_PAGE ? Math.min(hours * 2, 1_024) : hours;
}
