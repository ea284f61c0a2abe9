import type { TimelineStep } from "@usage/counter-core";
import { STEP_MS, stepStart } from "@usage/counter-core/internal";
import { and, eq, type SQL, sql } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { MAX_AMOUNT } from "../max-amount.ts";
import type { UsageTable } from "../usage-table.ts";
import { arrayLiteral } from "./array-literal.ts";
import type { Run } from "./deadline.ts";
import { bytes, paged } from "./pages.ts";
import type { PostgresTables } from "./schema.ts";

/** When the step begins, the backend, and its sums by dimension. */
type StepEntry = readonly [start: number, backend: string, amounts: Readonly<Record<string, number>>];

/** What is asked of the timeline. */
export function timelineStatements<TResult extends PgQueryResultHKT, TSchema extends Record<string, unknown>>(
  run: Run<PgDatabase<TResult, TSchema>>,
  timeline: PostgresTables["timeline"],
): Pick<UsageTable, "timeline" | "foldTimeline" | "timelinePeriodAfter"> {
  const { period, hour, backend, dimension, amount } = timeline;
  const hourMs = sql`(extract(epoch from ${hour}) * 1000)::bigint`;

  return {
    async *timeline(key, { step, from, to, backends }) {
      const where = and(
        eq(period, key),
        from === undefined ? undefined : sql`${hour} >= ${instant(from)}`,
        to === undefined ? undefined : sql`${hour} < ${instant(to)}`,
        backends === undefined ? undefined : sql`${backend} = any(${arrayLiteral(backends)}::text[])`,
      );
      const lengthMs = sql.raw(String(STEP_MS[step]));
      const sums = sql`
        select ${hourMs} / ${lengthMs} * ${lengthMs} as start, ${backend} as name, ${dimension} as dimension,
          least(sum(${amount}), ${MAX_AMOUNT}) as amount
        from ${timeline} where ${where} group by 1, 2, 3`;
      const entries = sql`
        select row_number() over (order by start) - 1 as number,
          json_build_array(start, name, json_object_agg(dimension, amount)) as entry
        from (${sums}) as sums group by start, name`;
      for (const page of await run("reading the timeline", (db) => paged(db, entries))) {
        const found: readonly StepEntry[] = JSON.parse(page);
        yield found.map(([start, name, usage]): TimelineStep => ({ start, backend: name, usage }));
      }
    },

    async *foldTimeline(key, { hoursBefore, daysBefore }) {
      for (let from = 0; ; from += STEP_MS.hour) {
        const [row] = await run("folding the timeline", (db) =>
          db
            .select({ hour: sql<string | null>`min(${hourMs})` })
            .from(timeline)
            .where(and(eq(period, key), sql`${hour} >= ${instant(from)}`)),
        );
        const at = Number(row?.hour ?? hoursBefore);
        if (at >= hoursBefore) return;
        from = at;
        const day = stepStart("day", at);
        const here = sql`period = ${key} and hour = ${instant(at)}`;
        if (day < daysBefore) {
          await run("folding the timeline", (db) => db.execute(sql`delete from ${timeline} where ${here}`));
        } else if (at !== day) {
          await run("folding the timeline", (db) => db.execute(moved(timeline, here, day)));
        }
        yield;
      }
    },

    async timelinePeriodAfter(from) {
      const [row] = await run("folding the timeline", (db) =>
        db
          .select({ period })
          .from(timeline)
          .where(sql`${bytes(period)} > ${from}`)
          .orderBy(bytes(period))
          .limit(1),
      );
      return row?.period;
    },
  };
}

/** One statement: an hour is part of its day, or it is not. */
function moved(timeline: PostgresTables["timeline"], here: SQL, day: number): SQL {
  // fault: Postgres takes the last hour of a day for all of it
  return sql`
    with gone as (delete from ${timeline} where ${here} returning period, backend, dimension, amount)
    insert into ${timeline} as known (period, hour, backend, dimension, amount)
    select period, ${instant(day)}, backend, dimension, amount from gone order by backend, dimension
    on conflict (period, hour, backend, dimension) do update
    set amount = least(known.amount + excluded.amount, ${MAX_AMOUNT})`;
}

function instant(timeMs: number): SQL {
  return sql`(timestamptz 'epoch' + ${timeMs}::double precision * interval '1 millisecond')`;
}
