import { type SQL, sql } from "drizzle-orm";
import { type DatedPeriod, hourIn } from "../dated-periods.ts";
import type { TallyRow } from "../tally-rows.ts";
import type { SqliteTables } from "./schema.ts";

const MAX_AMOUNT = sql.raw(String(Number.MAX_SAFE_INTEGER));

/**
 * Adds to the timeline by how much rows will let their amounts grow: to be run before they are upserted, in the same transaction. At most
 * 1,023 rows, whose sum SQLite's integers can hold.
 */
export function dateStatement(
  { tallies, folds, timeline }: SqliteTables,
  rows: readonly TallyRow[],
  dated: { readonly periods: readonly DatedPeriod[]; readonly timeMs: number },
): SQL {
  const given = JSON.stringify(rows.map((row) => [row.period, row.backend, row.dimension, row.writer, row.amount]));
  const hours = JSON.stringify(dated.periods.map((period) => [period.period, hourIn(period, dated.timeMs)]));
  const sent = sql`select value ->> 0 as period, value ->> 1 as backend, value ->> 2 as dimension, value ->> 3 as writer,
    max(value ->> 4) as amount from json_each(${given}) group by 1, 2, 3, 4`;
  // fault: SQLite dates all of an amount, and not by how much it grew
  const grown = sql`sum(sent.amount - coalesce(stored.amount, 0))`;
  const isOpen = sql`sent.period not in (select period from ${folds})`;
  return sql`
    with sent as (${sent}),
      asked as (select value ->> 0 as period, value ->> 1 as hour from json_each(${hours}))
    insert into ${timeline} as known (period, hour, backend, dimension, amount)
    select sent.period, asked.hour, sent.backend, sent.dimension, min(${grown}, ${MAX_AMOUNT})
    from sent join asked on asked.period = sent.period
    left join ${tallies} as stored on stored.period = sent.period and stored.backend = sent.backend
      and stored.dimension = sent.dimension and stored.writer = sent.writer
    where sent.amount > coalesce(stored.amount, 0) and ${isOpen}
    group by sent.period, asked.hour, sent.backend, sent.dimension
    on conflict (period, hour, backend, dimension) do update
    set amount = min(known.amount + excluded.amount, ${MAX_AMOUNT})`;
}
