import { setTimeout as sleep } from "node:timers/promises";
import type { Period, Tally } from "@usage/counter-core";
import type { CorrectableStore } from "./correctable-store.ts";
import { type Places, readWriterCounts, type WriterCount, type WriterCounts } from "./writer-counts.ts";

export interface RepairOptions extends Places {
  readonly period: Period;
  readonly backend: string;
  /** What one writer really counted of one dimension. Absent: only Redis forgets what it has. */
  readonly correction?: Correction | undefined;
  readonly correct: CorrectableStore["correct"];
  /** How long counts are watched, before and after: an instance that runs moves them. @default 2_000 */
  readonly watchMs?: number;
}

export interface Correction {
  readonly writer: string;
  readonly dimension: string;
  readonly amount: number;
}

/** Nothing was changed, or it has to be done again; the message says what to do. */
export class RepairError extends Error {
  readonly code = "USAGE_PROXY_REPAIR";

  constructor(problem: string) {
    super(problem);
    this.name = "RepairError";
  }
}

/**
 * Stores what Redis has of a backend in a period, sets one writer's row right, and lets Redis forget that backend and period:
 * the next instance that starts brings there what is stored. May be done again, also after it failed half-way.
 *
 * @throws RepairError when an instance still counts, and when there is no such row to set to more than 0.
 */
export async function repair(options: RepairOptions): Promise<WriterCounts> {
  const { period, backend, correction, store, shared: place, correct, watchMs = 2_000 } = options;
  const before = await readWriterCounts(options, period, backend);
  // A row that is gone already needs no removal: this is done again, say.
  if (correction !== undefined && correction.amount > 0 && !before.counts.some((count) => isOf(count, correction))) {
    throw new RepairError(`${correction.writer} has no ${correction.dimension} of ${backend} in ${period.key}`);
  }
  await sleep(watchMs);
  const { counts, shared } = await readWriterCounts(options, period, backend);
  const moving = counts.find((count) => !before.counts.some((known) => isSame(known, count)));
  // fault: repairs while somebody counts
  if (moving !== undefined) throw new RepairError(`${moving.writer} counts; ${STOP}. Nothing was changed`);

  const refused = await store.merge(shared.map((tally) => corrected(tally, correction)));
  if (correction !== undefined) await correct({ ...correction, period: period.key, backend });
  // fault: repairs the store and not Redis
  await place?.forget();

  await sleep(watchMs);
  const after = await readWriterCounts(options, period, backend);
  const [again] = after.shared;
  if (again !== undefined)
    throw new RepairError(`${again.writer} has shared its counts again; ${STOP}, and repeat this`);
  const [first] = refused;
  if (first === undefined) return after;
  throw new RepairError(
    `all is repaired, and ${refused.length} tallies were dropped that no store takes, the first by ${first.tally.writer}: ${first.reason.message}`,
  );
}

const STOP = "stop every instance that has this store or this Redis";

function isOf(
  count: { readonly writer: string; readonly dimension: string },
  { writer, dimension }: Correction,
): boolean {
  return count.writer === writer && count.dimension === dimension;
}

function isSame(a: WriterCount, b: WriterCount): boolean {
  return a.writer === b.writer && a.dimension === b.dimension && a.shared === b.shared && a.stored === b.stored;
}

/** What the store is to take of a tally before its row is set: a merge keeps the larger amount. */
function corrected(tally: Tally, correction: Correction | undefined): Tally {
  if (correction?.writer !== tally.writer || !Object.hasOwn(tally.usage, correction.dimension)) return tally;
  return { ...tally, usage: { ...tally.usage, [correction.dimension]: correction.amount } };
}
