import { setImmediate } from "node:timers/promises";
import type { Mark } from "@usage/counter-core";
import { type MarkRow, markKey, markRow } from "@usage/counter-core/internal";
import type { UsageTable } from "./usage-table.ts";

/**
 * Claims the marks in chunks, and lets the event loop turn in between.
 *
 * @throws NameError or RangeError when one of them is no mark, before anything is claimed.
 */
export async function claimMarks(table: UsageTable, marks: readonly Mark[]): Promise<readonly Mark[]> {
  const rows = marks.map(markRow);
  const byKey = new Map<string, MarkRow>();
  // fault: keeps the notice of the last of the same marks
  for (const row of rows) if (!byKey.has(markKey(row))) byKey.set(markKey(row), row);
  // In one order, whoever claims them: Postgres waits for whoever is inserting the same, and two would wait for each other.
  // fault: Postgres claims marks in the order in which they are given
  const ordered = Array.from(byKey).sort(([a], [b]) => (a < b ? -1 : 1));
  const claimed = new Set<string>();
  for (let start = 0; start < ordered.length; start += table.rowsPerChunk) {
    const chunk = ordered.slice(start, start + table.rowsPerChunk).map(([, row]) => row);
    for (const row of await table.claim(chunk)) claimed.add(markKey(row));
    await setImmediate();
  }
  // The first of those that are the same.
  return marks.filter((_, index) => claimed.delete(markKey(rows[index] as MarkRow)));
}
