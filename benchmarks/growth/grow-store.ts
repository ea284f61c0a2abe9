import type { Tally, Usage, UsageStore } from "@usage/counter-core";
import { answer } from "../child.ts";
import { interleave, roundsOf } from "../rounds.ts";
import { openPostgresFarm, openSqliteFarm } from "./store-farm.ts";
import { BACKENDS, localRun, monthOf, RUN_USAGE, RUNS_A_DAY } from "./year.ts";

/** A store after some days of restarts, by round where it is timed. */
export interface GrownStore {
  readonly days: number;
  readonly rows: number;
  /** Of the table and its index, as they lie on the disk. */
  readonly bytes: number;
  /** `totals` of the month that goes on. */
  readonly totalsMs: number[];
  /** `history` of everything. */
  readonly historyMs: number[];
  /** `tallies` of all backends in the month that goes on: what a Redis counter asks for when it starts. */
  readonly talliesMs: number[];
  /** A flush of all backends by a run that has flushed before. */
  readonly flushMs: number[];
}

const ROUNDS = roundsOf({ rounds: 7, warmups: 1 });
/** A run flushes far more often than it begins: rows do not grow by that, but in Postgres it leaves dead ones behind. */
const FLUSHES_A_RUN = 2;

// Arguments: the database, then numbers of days.
const [, , kind = "", ...args] = process.argv;
const farm = kind === "postgres" ? await openPostgresFarm() : await openSqliteFarm();
const grown: GrownStore[] = [];
const samples: Record<string, () => Promise<number>> = {};
for (const days of args.map(Number)) {
  const { store, hurry, calmDown, size } = await farm.open(String(days));
  hurry();
  await live(store, days);
  await calmDown();
  const found: GrownStore = {
    days,
    ...(await size()),
    totalsMs: [],
    historyMs: [],
    talliesMs: [],
    flushMs: [],
  };
  grown.push(found);
  const today = days - 1;
  const run = localRun(today, store);
  const { writer } = run.counter;
  countAll(run);
  await run.flush();
  const timed = (name: string, into: number[], work: () => Promise<unknown>): void => {
    samples[`${name} ${days}`] = async () => {
      const start = performance.now();
      await work();
      const tookMs = performance.now() - start;
      into.push(tookMs);
      return tookMs;
    };
  };
  timed("totals", found.totalsMs, () => store.totals(monthOf(today), writer));
  timed("history", found.historyMs, () => store.history({}));
  timed("tallies", found.talliesMs, () => store.tallies(monthOf(today), BACKENDS));
  timed("flush", found.flushMs, () => {
    countAll(run);
    return run.flush();
  });
}
await interleave(samples, ROUNDS);
await farm.close();
for (const { totalsMs, historyMs, talliesMs, flushMs } of grown) {
  for (const values of [totalsMs, historyMs, talliesMs, flushMs]) values.splice(0, ROUNDS.warmups);
}
answer(grown);

async function live(store: UsageStore, days: number): Promise<void> {
  const today = days - 1;
  for (let day = 0; day < days; day++) {
    if (monthOf(day) !== monthOf(today)) {
      await store.merge(talliesOf(day));
      continue;
    }
    for (let run = 0; run < RUNS_A_DAY; run++) {
      const tracker = localRun(day, store);
      for (let flush = 0; flush < FLUSHES_A_RUN; flush++) {
        countAll(tracker);
        await tracker.flush();
      }
    }
  }
}

/** What the runs of a day have left in the store. */
function talliesOf(day: number): readonly Tally[] {
  const usage = multiplied(RUN_USAGE, FLUSHES_A_RUN);
  return Array.from({ length: RUNS_A_DAY }, () => crypto.randomUUID()).flatMap((writer) =>
    BACKENDS.map((backend) => ({ writer, period: monthOf(day), backend, usage })),
  );
}

function multiplied(usage: Usage, times: number): Usage {
  const { apiRequests, egressBytes, ingressBytes } = usage;
  return {
    apiRequests: times * apiRequests,
    egressBytes: times * egressBytes,
    ingressBytes: times * ingressBytes,
  };
}

function countAll(tracker: ReturnType<typeof localRun>): void {
  for (const name of BACKENDS) tracker.record(name, RUN_USAGE);
}
