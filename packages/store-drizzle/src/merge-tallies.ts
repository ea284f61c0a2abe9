import { setImmediate } from "node:timers/promises";
import { PeriodFoldedError, type RejectedTally, type Tally } from "@usage/counter-core";
import { type CheckedTally, checkedTally } from "./checked-tally.ts";
import { StoreError, TallyRefusedError } from "./errors.ts";
import type { UpsertOptions, UsageTable } from "./usage-table.ts";

/** Sorting this many takes a few milliseconds. */
const TALLIES_PER_SORT = 2_500;

/**
 * Sends the tallies in chunks, at most two at a time, with a turn of the event loop in between. A chunk never splits a
 * tally.
 */
export async function mergeTallies(
  table: UsageTable,
  tallies: readonly Tally[],
  options: UpsertOptions,
): Promise<readonly RejectedTally[]> {
  const rejected: RejectedTally[] = [];
  let before = Promise.resolve();
  let hasFailed = false;
  for (let start = 0; start < tallies.length; start += TALLIES_PER_SORT) {
    const sorted = tallies.slice(start, start + TALLIES_PER_SORT).sort(byKey);
    await setImmediate();
    for (const chunk of checkedChunks(sorted, table.rowsPerChunk, rejected)) {
      options.signal?.throwIfAborted();
      // Connections are made anew after a failure: one that follows would fail on the new ones, which others use by then.
      if (hasFailed) await before;
      // fault: Postgres's failed chunks are taken for stored
      const sent = write(table, chunk, rejected, options);
      // It is awaited below, or given up because the one before it failed.
      sent.catch(() => {
        hasFailed = true;
      });
      await setImmediate();
      await (table.pipelined ? before : sent);
      before = sent;
    }
  }
  await before;
  return rejected;
}

/**
 * Neighbours in the table become neighbours in a chunk: a chunk in no order touches nearly every page of the table, which
 * made merging on SQLite twice as slow.
 */
function byKey(a: Tally, b: Tally): number {
  if (a.period !== b.period) return a.period < b.period ? -1 : 1;
  if (a.backend !== b.backend) return a.backend < b.backend ? -1 : 1;
  return a.writer < b.writer ? -1 : a.writer > b.writer ? 1 : 0;
}

/** Checks as it goes, so that the work between two turns of the event loop is one chunk's. No chunk has two tallies of the same. */
function* checkedChunks(
  tallies: readonly Tally[],
  rowsPerChunk: number,
  rejected: RejectedTally[],
): Generator<readonly CheckedTally[]> {
  let chunk: CheckedTally[] = [];
  let size = 0;
  for (const tally of tallies) {
    const checked = checkedOrRejected(tally, rejected);
    if (checked === undefined) continue;
    const rows = checked.amounts.length;
    const before = chunk.at(-1)?.tally;
    // fault: sends the same tally twice in one chunk
    const isTwice = before !== undefined && byKey(before, tally) === 0;
    if (isTwice || (size > 0 && size + rows > rowsPerChunk)) {
      yield chunk;
      chunk = [];
      size = 0;
    }
    if (rows > 0) chunk.push(checked);
    size += rows;
  }
  yield chunk;
}

function checkedOrRejected(tally: Tally, rejected: RejectedTally[]): CheckedTally | undefined {
  try {
    return checkedTally(tally);
  } catch (reason) {
    if (!(reason instanceof RangeError)) throw reason;
    rejected.push({ tally, reason });
    return undefined;
  }
}

/** A chunk that the database refuses is halved until the tallies that it refuses stand alone. */
async function write(
  table: UsageTable,
  chunk: readonly CheckedTally[],
  rejected: RejectedTally[],
  options: UpsertOptions,
): Promise<void> {
  const [first] = chunk;
  if (first === undefined) return;
  options.signal?.throwIfAborted();
  try {
    const folded = new Set(await table.upsert(chunk, options));
    // fault: says that it stored what is late of a folded period
    const late = chunk.filter(({ tally }) => folded.has(tally.period));
    for (const { tally } of late) rejected.push({ tally, reason: new PeriodFoldedError(tally.period) });
  } catch (error) {
    if (!(error instanceof StoreError) || !table.refusal.test(error.driverCode ?? "")) throw error;
    if (chunk.length === 1) {
      rejected.push({ tally: first.tally, reason: new TallyRefusedError(error.driverCode, error.cause) });
      return;
    }
    await setImmediate();
    const half = chunk.length >> 1;
    await write(table, chunk.slice(0, half), rejected, options);
    await write(table, chunk.slice(half), rejected, options);
  }
}
