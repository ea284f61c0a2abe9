import { type SQL, sql } from "drizzle-orm";
import type { TallyRow } from "../tally-rows.ts";
import { arrayLiteral } from "./array-literal.ts";
import type { PostgresTables } from "./schema.ts";

/** What is upserted, and what of it is told. */
export interface Upserted {
  readonly rows: readonly TallyRow[];
  /** Those of the rows. */
  readonly periods: readonly string[];
  /** Whether each row that is written tells by how much it grew, for the timeline. */
  readonly isDated: boolean;
}

/**
 * Keeps what grew, but for rows of folded periods. `max` and `group by`: a statement must not touch a row twice (21000).
 * `order by`: two that write the same rows take them in the same order and cannot deadlock. The inner select: a conflict whose
 * `where` fails still locks the row, which is a write; as a scalar it is one look-up per row, where `not exists` was planned as a
 * scan of the table.
 *
 * By how much a row grew is written into the row: what it had before, only the update itself knows for certain, since another merge may
 * have inserted it after this one's snapshot.
 *
 * A time is never less than what the period had before: a clock that steps back, or that of another
 * primary, hides no change from who asks for what came later.
 */
export function upsertStatement({ tallies, folds }: PostgresTables, { rows, periods, isDated }: Upserted): SQL {
  const column = (name: keyof TallyRow) => arrayLiteral(rows.map((row) => row[name]));
  const asked = sql`unnest(${arrayLiteral(periods)}::text[]) as asked (period)`;
  const last = sql`(select max(updated_at) as last from ${tallies} as known where known.period = asked.period) as times`;
  // fault: Postgres's times follow a clock that steps back
  const time = sql`(select greatest(clock_timestamp(), max(times.last)) from ${asked}, lateral ${last})`;
  // fault: Postgres stores what is late of a folded period
  const isOpen = sql`not exists (select from ${folds} as folds where folds.period = sent.period)`;
  // fault: Postgres dates all of an amount, and not by how much it grew
  const [grown, first, next, told] = isDated
    ? [
        sql`, grown`,
        sql`, max(sent.amount)`,
        sql`, grown = excluded.amount - stored.amount`,
        sql` returning period, backend, dimension, grown`,
      ]
    : [sql``, sql``, sql``, sql``];
  // fault: Postgres touches what did not grow
  // fault: Postgres adds up what one merge has twice
  // fault: Postgres adds instead of keeping the maximum
  // fault: Postgres writes rows in no order
  return sql`
    insert into ${tallies} as stored (period, backend, dimension, writer, amount, updated_at${grown})
    select sent.period, sent.backend, sent.dimension, sent.writer, max(sent.amount), ${time}${first}
    from unnest(${column("period")}::text[], ${column("backend")}::text[], ${column("dimension")}::text[],
      ${column("writer")}::text[], ${column("amount")}::bigint[]) as sent (period, backend, dimension, writer, amount)
    where ${isOpen} and sent.amount > coalesce((
      select known.amount from ${tallies} as known
      where known.period = sent.period and known.backend = sent.backend and known.dimension = sent.dimension
        and known.writer = sent.writer
    ), -1)
    group by sent.period, sent.backend, sent.dimension, sent.writer
    order by sent.period, sent.backend, sent.dimension, sent.writer
    on conflict (period, backend, dimension, writer) do update
    set amount = excluded.amount, updated_at = excluded.updated_at${next}
    where excluded.amount > stored.amount${told}`;
}
