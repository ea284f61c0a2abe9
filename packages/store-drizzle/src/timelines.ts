import { setImmediate } from "node:timers/promises";
import type { TimelineAges, TimelineQuery, TimelineStep, WriterUsage } from "@usage/counter-core";
import { amountOf, assertTimelineAges, assertTimelineQuery } from "@usage/counter-core/internal";
import type { UsageTable } from "./usage-table.ts";

type Amounts = Record<string, number>;

/** The steps of a period, each backend's in one piece. @throws RangeError for a query that is none. */
export async function readTimeline(
  table: UsageTable,
  period: string,
  query: TimelineQuery,
): Promise<readonly TimelineStep[]> {
  assertTimelineQuery(query);
  const starts = new Map<number, Map<string, Amounts>>();
  for await (const page of table.timeline(period, query)) {
    for (const { start, backend, usage } of page) add(entry(entry(starts, start, newMap), backend, nothing), usage);
    await setImmediate();
  }
  const steps: TimelineStep[] = [];
  for (const [start, backends] of [...starts].sort(([a], [b]) => a - b)) {
    for (const [backend, usage] of [...backends].sort(byName)) steps.push({ start, backend, usage });
    await setImmediate();
  }
  return steps;
}

/** @throws RangeError for ages that are none. */
export async function foldTimeline(table: UsageTable, ages: TimelineAges): Promise<void> {
  assertTimelineAges(ages);
  let period = await table.timelinePeriodAfter("");
  while (period !== undefined) {
    for await (const _ of table.foldTimeline(period, ages)) await setImmediate();
    period = await table.timelinePeriodAfter(period);
  }
}

/** What each writer has of all backends, in ascending order. */
export async function readWriters(table: UsageTable, period: string): Promise<readonly WriterUsage[]> {
  const writers = new Map<string, Amounts>();
  for await (const page of table.writers(period)) {
    for (const { writer, usage } of page) add(entry(writers, writer, nothing), usage);
    await setImmediate();
  }
  return [...writers].sort(byName).map(([writer, usage]) => ({ writer, usage }));
}

/** No sum passes 2^53-1. */
function add(sums: Amounts, usage: Readonly<Amounts>): void {
  for (const [dimension, amount] of Object.entries(usage)) {
    sums[dimension] = Math.min(Number.MAX_SAFE_INTEGER, amountOf(sums, dimension) + amount);
  }
}

const nothing = (): Amounts => ({});
const newMap = (): Map<string, Amounts> => new Map();

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
