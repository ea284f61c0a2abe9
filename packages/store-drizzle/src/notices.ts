import { setImmediate } from "node:timers/promises";
import type { Mark, Notice, NoticesQuery } from "@usage/counter-core";
import { assertNoticesQuery, markKey, markOf, markRow } from "@usage/counter-core/internal";
import type { NoticeRow, UsageTable } from "./usage-table.ts";

/** @throws RangeError for a channel that is no name, and for what is out of range. */
export async function takeNotices(table: UsageTable, channel: string, query: NoticesQuery): Promise<readonly Notice[]> {
  assertNoticesQuery(channel, query);
  const rows = await table.notices(channel, query);
  return [...rows].sort(byAge).map((row) => ({ ...markOf(row), body: row.body, attempts: row.attempts }));
}

/** In chunks, and lets the event loop turn in between. @throws NameError or RangeError when one of them is no mark. */
export async function acknowledgeNotices(table: UsageTable, notices: readonly Omit<Mark, "notice">[]): Promise<void> {
  const rows = [...new Map(notices.map(markRow).map((row) => [markKey(row), row])).values()];
  for (let start = 0; start < rows.length; start += table.rowsPerChunk) {
    // fault: a notice is never acknowledged
    await table.acknowledge(rows.slice(start, start + table.rowsPerChunk));
    await setImmediate();
  }
}

/** Those that were claimed at once by their text. */
function byAge(a: NoticeRow, b: NoticeRow): number {
  return a.createdAt.getTime() - b.createdAt.getTime() || (markKey(a) < markKey(b) ? -1 : 1);
}
