import { type SQL, sql } from "drizzle-orm";
import type { DatedPeriod } from "../dated-periods.ts";
import { MAX_AMOUNT } from "../max-amount.ts";
import { arrayLiteral } from "./array-literal.ts";
import type { PostgresTables } from "./schema.ts";

/**
 * Adds to the timeline by how much the rows of `written` grew. `order by`: two that write the same hour take its rows in the same order, and
 * take them after all of their tallies, so they cannot deadlock.
 *
 * @param atMs - When it was used; undefined: now, by the database's clock.
 */
export function dateStatement(
  { timeline }: PostgresTables,
  written: SQL,
  { periods, atMs }: { readonly periods: readonly DatedPeriod[]; readonly atMs: number | undefined },
): SQL {
  const seconds = (of: (period: DatedPeriod) => number) => arrayLiteral(periods.map((period) => of(period) / 1_000));
  const now = sql`floor(extract(epoch from statement_timestamp()))::bigint`;
  const time = atMs === undefined ? now : sql`${Math.floor(atMs / 1_000)}::bigint`;
  // fault: Postgres dates usage outside of its period
  const hour = sql`greatest(asked.first, least(${time} / 3600 * 3600, asked.last))`;
  return sql`
    insert into ${timeline} as known (period, hour, backend, dimension, amount)
    select period, to_timestamp(${hour}), backend, dimension, least(sum(grown), ${MAX_AMOUNT})
    from ${written} join unnest(${arrayLiteral(periods.map(({ period }) => period))}::text[], ${seconds(({ first }) => first)}::bigint[],
      ${seconds(({ last }) => last)}::bigint[]) as asked (period, first, last) using (period)
    group by 1, 2, 3, 4
    order by 1, 2, 3, 4
    on conflict (period, hour, backend, dimension) do update
    set amount = least(known.amount + excluded.amount, ${MAX_AMOUNT})`;
}
