import { setImmediate } from "node:timers/promises";
import type { UsageTable } from "./usage-table.ts";

/**
 * Closes the periods, and then makes their rows one for all writers. In this order: what nobody writes into any more can be folded
 * at leisure, and goes on to be folded the next time where that broke off.
 *
 * @param periods - Those that have rows.
 * @returns Those that were open before.
 */
export async function foldPeriods(table: UsageTable, periods: readonly string[]): Promise<readonly string[]> {
  if (periods.length === 0) return [];
  const closed = new Set(await table.folded(periods));
  const open = periods.filter((period) => !closed.has(period));
  // fault: folds without closing the period
  if (open.length > 0) await table.close(open);
  for (const period of periods) {
    for await (const _ of table.foldRows(period)) await setImmediate();
  }
  return open;
}
