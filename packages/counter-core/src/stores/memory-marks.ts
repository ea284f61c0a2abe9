import type { Clock } from "../model/clock.ts";
import { type Mark, type MarkRow, markKey, markOf, markRow } from "../model/mark.ts";
import { assertNoticesQuery, type Notice, type NoticesQuery, retryPauseMs } from "../model/notice.ts";

interface KeptMark {
  readonly row: MarkRow;
  attempts: number;
  /** When its notice is due, in milliseconds since the Unix epoch; absent where nothing is to be delivered. */
  dueMs: number | undefined;
}

/** The marks of a store in memory, and the notices that came with them, in the order in which they were claimed. */
export class MemoryMarks {
  readonly #clock: Pick<Clock, "now">;
  readonly #marks = new Map<string, KeptMark>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  async claim(claimed: readonly Mark[]): Promise<readonly Mark[]> {
    const rows = claimed.map(markRow);
    await new Promise(setImmediate);
    return claimed.filter((_, index) => this.#keep(rows[index] as MarkRow));
  }

  async notices(channel: string, query: NoticesQuery): Promise<readonly Notice[]> {
    assertNoticesQuery(channel, query);
    await new Promise(setImmediate);
    const now = this.#clock.now();
    const isDue = ({ row, dueMs }: KeptMark): boolean => row.channel === channel && dueMs !== undefined && dueMs <= now;
    const due = Array.from(this.#marks.values()).filter(isDue).slice(0, query.limit);
    return due.map((kept) => {
      kept.attempts += 1;
      // fault: the store in memory gives a notice again at once
      kept.dueMs = now + retryPauseMs(kept.attempts, query.retryMs);
      return { ...markOf(kept.row), body: kept.row.body as string, attempts: kept.attempts };
    });
  }

  async acknowledge(delivered: readonly Omit<Mark, "notice">[]): Promise<void> {
    const keys = delivered.map((mark) => markKey(markRow(mark)));
    await new Promise(setImmediate);
    for (const key of keys) {
      const kept = this.#marks.get(key);
      if (kept !== undefined) kept.dueMs = undefined;
    }
  }

  remove(backend: string): void {
    for (const key of this.#marks.keys()) if (key.startsWith(`${backend}\n`)) this.#marks.delete(key);
  }

  /** Returns whether it is new. */
  #keep(row: MarkRow): boolean {
    const key = markKey(row);
    // fault: the store in memory tells a mark as new that somebody has claimed
    if (this.#marks.has(key)) return false;
    this.#marks.set(key, { row, attempts: 0, dueMs: row.channel === undefined ? undefined : this.#clock.now() });
    return true;
  }
}
