import { setImmediate } from "node:timers/promises";
import {
  assertDimensionName,
  type Clock,
  foldableBefore,
  type HistoryQuery,
  type PeriodUsage,
  type StoredUsage,
  type Tally,
  type UsageStore,
} from "@usage/counter-core";
import { amountOf, assertInstant, Cursors, checkedInstance, untilAborted } from "@usage/counter-core/internal";
import { readChanges, storeChange } from "./changes.ts";
import { claimMarks } from "./claim-marks.ts";
import { foldPeriods } from "./fold-periods.ts";
import { grantOf, storeGrant } from "./grants.ts";
import { mergeTallies } from "./merge-tallies.ts";
import { acknowledgeNotices, takeNotices } from "./notices.ts";
import { foldTimeline, readTimeline, readWriters } from "./timelines.ts";
import type { Selection, UsageTable } from "./usage-table.ts";

export interface TableStoreOptions {
  readonly dimensions: readonly string[];
  /** What `fold` takes for now. */
  readonly clock: Pick<Clock, "now">;
}

export interface TimelineOptions {
  /**
   * Whether what each merge lets grow is added to a timeline by the hour, too, in the same transaction; the store has `timeline` and
   * `foldTimeline` then. Each instance on the same tables must say the same.
   * @default false
   */
  readonly timeline?: boolean;
}

/** A store that keeps all there is to keep. */
export type TableUsageStore = UsageStore<string> & Required<Omit<UsageStore<string>, "losses">>;

/** The store without what it may not be asked for. */
export function offered(store: TableUsageStore, { timeline = false }: TimelineOptions): UsageStore<string> {
  if (timeline) return store;
  const { timeline: _, foldTimeline: __, ...others } = store;
  return others;
}

/** Longer than counters go on to store what they counted in a period after its end. */
const INSTANCE_KEPT_MS = 40 * 86_400_000;

/** The store on the tables of either dialect. All SQL is the table's. */
export function tableUsageStore(table: UsageTable, { dimensions, clock }: TableStoreOptions): TableUsageStore {
  if (dimensions.length === 0) throw new RangeError("dimensions must name at least one dimension, got none");
  for (const dimension of dimensions) assertDimensionName(dimension);
  const wanted = [...dimensions];
  const cursors = new Cursors();

  return {
    dimensions: wanted,

    async merge(tallies, { signal, at, writer } = {}) {
      signal?.throwIfAborted();
      if (at !== undefined) assertInstant("at", at);
      return untilAborted(mergeTallies(table, tallies, { signal, at, writer }), signal);
    },

    async totals(period, writer, { backends, since } = {}) {
      const { at, database } = await table.position(period);
      const usage = new Map<string, StoredUsage<string>>();
      const known = cursors.positionIn(since, period, database);
      // The clock has stepped back since then: nobody knows what it hides.
      // fault: trusts a cursor from a clock that was ahead
      const after = known !== undefined && known > at ? undefined : known;
      const selection: Selection = {
        ...(backends !== undefined && { backends: [...new Set(backends)] }),
        ...(after !== undefined && { since: after }),
      };
      for await (const page of table.usage(period, writer, selection)) {
        for (const { backend, all, own } of page) {
          if (!wanted.some((dimension) => Object.hasOwn(all, dimension))) continue;
          usage.set(backend, { all: pick(all, wanted), own: pick(own, wanted) });
        }
        await setImmediate();
      }
      // fault: gives a cursor of after the read
      return { usage, cursor: cursors.at(period, at, database) };
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
      const selection: Selection = backend === undefined ? {} : { backends: [backend] };
      for await (const period of periods(table, from, to)) {
        for await (const page of table.usage(period, "", selection)) {
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
      // At last: until then somebody may still see what was used, and claim them once more.
      // fault: removes a backend and keeps its marks
      await table.removeMarks(backend);
      // fault: removes a backend and keeps its grants
      await table.removeGrants(backend);
    },

    async fold(before) {
      const isFoldable = foldableBefore(before, clock.now());
      const found: string[] = [];
      for await (const period of periods(table, "", before)) if (isFoldable(period)) found.push(period);
      return foldPeriods(table, found);
    },

    claim: (marks) => claimMarks(table, marks),
    notices: (channel, query) => takeNotices(table, channel, query),
    acknowledge: (notices) => acknowledgeNotices(table, notices),
    grant: (grant) => storeGrant(table, grant),
    change: (change) => storeChange(table, change),
    changes: async (query = {}) => readChanges(table, query),
    grants: async (query = {}) => (await table.grants(query)).map(grantOf),
    timeline: (period, query) => readTimeline(table, period, query),
    foldTimeline: (ages) => foldTimeline(table, ages),
    heartbeat: async (instance) => table.heartbeat(checkedInstance(instance), INSTANCE_KEPT_MS),
    instances: () => table.instances(),
    writers: (period) => readWriters(table, period),
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
  return Object.fromEntries(dimensions.map((dimension) => [dimension, amountOf(usage, dimension)]));
}
