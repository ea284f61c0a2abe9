import { setImmediate } from "node:timers/promises";
import {
  assertDimensionName,
  type HistoryQuery,
  type PeriodUsage,
  type StoredUsage,
  type Tally,
  type UsageStore,
} from "@usage/counter-core";
import { mergeTallies } from "./merge-tallies.ts";
import { untilAborted } from "./until-aborted.ts";
import type { UsageTable } from "./usage-table.ts";

/** The store on a table of either dialect. All SQL is the table's. */
export function tableUsageStore(table: UsageTable, dimensions: readonly string[]): UsageStore<string> {
  if (dimensions.length === 0) throw new RangeError("dimensions must name at least one dimension, got none");
  for (const dimension of dimensions) assertDimensionName(dimension);
  const wanted = [...dimensions];

  return {
    dimensions: wanted,

    async merge(tallies, { signal } = {}) {
      signal?.throwIfAborted();
      return untilAborted(mergeTallies(table, tallies, signal), signal);
    },

    async totals(period, writer, { backends } = {}) {
      const usage = new Map<string, StoredUsage<string>>();
      const asked = backends === undefined ? undefined : new Set(backends);
      for await (const page of table.usage(period, writer)) {
        for (const { backend, all, own } of page) {
          if (asked?.has(backend) === false) continue;
          if (!wanted.some((dimension) => Object.hasOwn(all, dimension))) continue;
          usage.set(backend, { all: pick(all, wanted), own: pick(own, wanted) });
        }
        await setImmediate();
      }
      return { usage };
    },

    async fold() {
      throw new Error("fold is about to come");
    },

    async tallies(period, backends) {
      const tallies: Tally[] = [];
      for await (const page of table.tallies(period, [...new Set(backends)])) {
        for (const tally of page) tallies.push(tally);
        await setImmediate();
      }
      return tallies;
    },

    async history({ backend, from, to }) {
      const history: PeriodUsage[] = [];
      for await (const period of periods(table, from, to)) {
        for await (const page of table.usage(period, "", backend)) {
          for (const { backend: name, all } of page) history.push({ period, backend: name, usage: all });
          await setImmediate();
        }
      }
      return history;
    },

    async remove(backend) {
      // Period by period, since the primary key begins with it: a scan of the whole table would hold the event loop.
      for await (const period of periods(table)) {
        await table.remove(period, backend);
        await setImmediate();
      }
    },
  };
}

async function* periods(
  table: UsageTable,
  from: HistoryQuery["from"] = "",
  to?: HistoryQuery["to"],
): AsyncGenerator<string> {
  let period = await table.periodBetween(from, to, true);
  while (period !== undefined) {
    yield period;
    period = await table.periodBetween(period, to, false);
  }
}

function pick(usage: Readonly<Record<string, number>>, dimensions: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    dimensions.map((dimension) => [dimension, Object.hasOwn(usage, dimension) ? (usage[dimension] ?? 0) : 0]),
  );
}
