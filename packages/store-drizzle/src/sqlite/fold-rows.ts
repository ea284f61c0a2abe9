import { and, eq, ne, type SQL, sql } from "drizzle-orm";
import { MAX_AMOUNT } from "../max-amount.ts";
import { FOLDED_WRITER } from "../usage-table.ts";
import { backendRanges, type Reading } from "./pages.ts";

/** Makes all writers' rows of a period one for each backend and dimension, a page of backends in each transaction. */
export async function* foldRows<TSchema extends Record<string, unknown>>(
  reading: Reading<TSchema>,
  key: string,
): AsyncGenerator<void> {
  const { db, tallies, attempt } = reading;
  const { period, writer } = tallies;
  const left = and(eq(period, key), ne(writer, FOLDED_WRITER));
  const isLeft = () => db.select({ period }).from(tallies).where(left).limit(1).get() !== undefined;
  if (!(await attempt("fold", isLeft))) return;
  for await (const range of backendRanges(reading, key, "fold")) {
    const where = and(left, range);
    const fold = () => {
      db.run(insertSums(reading, where));
      // fault: SQLite folds and keeps what it folded
      db.delete(tallies).where(where).run();
    };
    await attempt("fold", () => db.transaction(fold, { behavior: "immediate" }));
    yield;
  }
}

function insertSums<TSchema extends Record<string, unknown>>(
  { tallies }: Reading<TSchema>,
  where: SQL | undefined,
): SQL {
  const { period, backend, dimension, amount, updatedAt } = tallies;
  const capped = (sum: SQL): SQL => sql`cast(min(${sum}, ${MAX_AMOUNT}) as integer)`;
  return sql`
    insert into ${tallies} as stored (period, backend, dimension, writer, amount, updated_at)
    select ${period}, ${backend}, ${dimension}, ${FOLDED_WRITER}, ${capped(sql`total(${amount})`)}, max(${updatedAt})
    from ${tallies} where ${where} group by ${period}, ${backend}, ${dimension}
    on conflict (period, backend, dimension, writer) do update
    set amount = ${capped(sql`stored.amount + excluded.amount`)}`;
}
