import { getTableName, type SQL, sql } from "drizzle-orm";
import { FOLDED_WRITER } from "../usage-table.ts";
import type { PostgresTables } from "./schema.ts";

/**
 * Closes periods once no merge is under way: a merge that waits for the lock sees the fold, since Postgres takes a statement's
 * snapshot after its locks, at the isolation `read committed`.
 */
export function closeStatement(tables: PostgresTables, periods: readonly string[]): SQL {
  const { tallies, folds } = names(tables);
  const values = periods.map((period) => `(${literal(period)})`).join(", ");
  return behindLock(tallies, `insert into ${folds} (period) values ${values} on conflict do nothing;`);
}

/**
 * Makes one row of all writers' rows of the backends from `first` to `last`. Behind the lock, too: who removes a backend meanwhile
 * would delete the rows that there were, and leave the folded one.
 */
export function foldStatement(tables: PostgresTables, period: string, [first, last]: readonly [string, string]): SQL {
  const { tallies } = names(tables);
  return behindLock(
    tallies,
    `with gone as (
      delete from ${tallies}
      where period = ${literal(period)} and backend >= ${literal(first)} and backend <= ${literal(last)}
        and writer <> '${FOLDED_WRITER}'
      returning backend, dimension, amount, updated_at
    )
    insert into ${tallies} as stored (period, backend, dimension, writer, amount, updated_at)
    select ${literal(period)}, backend, dimension, '${FOLDED_WRITER}', least(sum(amount), ${Number.MAX_SAFE_INTEGER}), max(updated_at)
    from gone group by backend, dimension
    on conflict (period, backend, dimension, writer) do update
    set amount = least(stored.amount + excluded.amount, ${Number.MAX_SAFE_INTEGER});`,
  );
}

function names({ tallies, folds }: PostgresTables): { readonly tallies: string; readonly folds: string } {
  return { tallies: `"${getTableName(tallies)}"`, folds: `"${getTableName(folds)}"` };
}

/**
 * Once no merge is under way, and before the next one begins. One statement of several steps: within a transaction that the driver
 * makes of several statements, postgres.js may go on in another connection, without the lock, after the first one died.
 */
function behindLock(tallies: string, step: string): SQL {
  // fault: Postgres folds while a merge is under way
  return sql.raw(`do $usage$ begin
    lock table ${tallies} in share row exclusive mode;
    ${step}
  end $usage$`);
}

/** A block takes no parameters. In hexadecimal no text ends the literal or the block, whatever the server's settings are. */
function literal(text: string): string {
  return `convert_from(decode('${Buffer.from(text).toString("hex")}', 'hex'), 'UTF8')`;
}
