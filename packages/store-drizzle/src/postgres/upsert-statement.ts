import type { Tally } from "@usage/counter-core";
import { type SQL, sql } from "drizzle-orm";
import type { CheckedTally } from "../checked-tally.ts";
import { arrayLiteral } from "./array-literal.ts";
import type { PostgresTables } from "./schema.ts";

/** What is upserted, and what of it is told. */
export interface Upserted {
  readonly tallies: readonly CheckedTally[];
  /** Whether each row that is written tells by how much it grew, for the timeline. */
  readonly isDated: boolean;
}

/**
 * The time of an upsert, `at`. Never less than what the periods had before: a clock that steps back, or that of another primary, hides no
 * change from whoever asks for what came later.
 */
export function timeStatement({ tallies }: PostgresTables, periods: readonly string[]): SQL {
  const asked = sql`unnest(${arrayLiteral(periods)}::text[]) as asked (period)`;
  const last = sql`(select max(updated_at) as last from ${tallies} as known where known.period = asked.period) as times`;
  // fault: Postgres's times follow a clock that steps back
  return sql`select greatest(clock_timestamp(), max(times.last)) as at from ${asked}, lateral ${last}`;
}

/**
 * Keeps what grew, as of the time in `moment`, but for rows of folded periods. `order by`: two that write the same rows take them in the
 * same order and cannot deadlock. The inner select: a conflict whose `where` fails still locks the row, which is a write; as a scalar it is
 * one look-up per row, where `not exists` was planned as a scan of the table.
 *
 * By how much a row grew is written into the row: what it had before, only the update itself knows for certain, since another merge may
 * have inserted it after this one's snapshot.
 */
export function upsertStatement({ tallies, folds }: PostgresTables, sent: Upserted, moment: SQL): SQL {
  const column = (
    of: (tally: Tally, [dimension, amount]: CheckedTally["amounts"][number]) => string | number,
  ): string => arrayLiteral(sent.tallies.flatMap(({ tally, amounts }) => amounts.map((amount) => of(tally, amount))));
  // fault: Postgres stores what is late of a folded period
  const isOpen = sql`not exists (select from ${folds} as folds where folds.period = sent.period)`;
  // fault: Postgres dates all of an amount, and not by how much it grew
  const [grown, first, next, told] = sent.isDated
    ? [
        sql`, grown`,
        sql`, sent.amount`,
        sql`, grown = excluded.amount - stored.amount`,
        sql` returning period, backend, dimension, grown`,
      ]
    : [sql``, sql``, sql``, sql``];
  // fault: Postgres touches what did not grow
  // fault: Postgres adds instead of keeping the maximum
  // fault: Postgres writes rows in no order
  return sql`
    insert into ${tallies} as stored (period, backend, dimension, writer, amount, updated_at${grown})
    select sent.period, sent.backend, sent.dimension, sent.writer, sent.amount, (select at from ${moment})${first}
    from unnest(${column(({ period }) => period)}::text[], ${column(({ backend }) => backend)}::text[],
      ${column((_, [dimension]) => dimension)}::text[], ${column(({ writer }) => writer)}::text[],
      ${column((_, [, amount]) => amount)}::bigint[]) as sent (period, backend, dimension, writer, amount)
    where ${isOpen} and sent.amount > coalesce((
      select known.amount from ${tallies} as known
      where known.period = sent.period and known.backend = sent.backend and known.dimension = sent.dimension
        and known.writer = sent.writer
    ), -1)
    order by sent.period, sent.backend, sent.dimension, sent.writer
    on conflict (period, backend, dimension, writer) do update
    set amount = excluded.amount, updated_at = excluded.updated_at${next}
    where excluded.amount > stored.amount${told}`;
}
