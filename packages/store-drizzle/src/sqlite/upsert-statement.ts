import { type SQL, sql } from "drizzle-orm";
import type { TallyRow } from "../tally-rows.ts";
import type { SqliteTables } from "./schema.ts";

/**
 * One statement: as fast as a prepared upsert per row inside one transaction, and atomic without one. Where nothing grew, nothing is
 * written, and nothing of folded periods.
 *
 * `periods` are those of the rows. A time is never less than what the period had before, so times come in the order of commits, in
 * which SQLite writes: a clock that steps back hides no change from who asks for what came later.
 */
export function upsertStatement(
  { tallies, folds }: SqliteTables,
  rows: readonly TallyRow[],
  periods: readonly string[],
): SQL {
  const sent = JSON.stringify(rows.map((row) => [row.period, row.backend, row.dimension, row.writer, row.amount]));
  const last = sql`(select max(known.updated_at) from ${tallies} as known where known.period = asked.value)`;
  const asked = sql`json_each(${JSON.stringify(periods)}) as asked`;
  // fault: SQLite's times follow a clock that steps back
  const time = sql`(select max(cast(unixepoch('subsec') * 1000 as integer), coalesce(max(${last}), 0)) from ${asked})`;
  // fault: SQLite stores what is late of a folded period
  const isOpen = sql`value ->> 0 not in (select period from ${folds})`;
  // fault: SQLite touches what did not grow
  // fault: SQLite adds instead of keeping the maximum
  // fault: SQLite adds what it has already
  // fault: SQLite keeps what came last
  return sql`
    insert into ${tallies} as stored (period, backend, dimension, writer, amount, updated_at)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ${time} from json_each(${sent}) where ${isOpen}
    on conflict (period, backend, dimension, writer) do update
    set amount = excluded.amount, updated_at = excluded.updated_at
    where excluded.amount > stored.amount`;
}
