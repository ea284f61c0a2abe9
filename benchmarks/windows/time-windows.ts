import {
  LocalCounterBackend,
  memoryStore,
  type PeriodScheme,
  utcDays,
  utcMinutes,
  utcMonths,
} from "@usage/counter-core";
import { openUsage, type UsageTracker } from "@usage/tracker";
import { answer } from "../child.ts";
import { checkKept, recordKept, reserveAndSettleKept, tryRecordKept } from "../counters/loops.ts";
import { BACKENDS, limitedTracker } from "../counters/subjects.ts";
import { type DimensionCount, dimensionsOf, makerOf } from "../counters/usage-shapes.ts";
import { interleave, roundsOf, type Sample } from "../rounds.ts";

/** What one process measures. */
export interface WindowsOptions {
  readonly dimensions: DimensionCount;
  /** 1: a tracker without windows. */
  readonly windows: 1 | 2 | 3;
}

/** Samples in nanoseconds per call. */
export type WindowsTimes = Record<"record" | "check" | "tryRecord" | "reserve", number[]>;

const CALLS = 200_000;
const ROUNDS = roundsOf({ rounds: 40, warmups: 10 });
const SCHEMES = { month: utcMonths, day: utcDays, minute: utcMinutes };
/** Nothing reaches it. */
const LIMIT = 2 ** 52;

type Subject = Pick<UsageTracker<string>, "record" | "tryRecord" | "withinLimits" | "tryReserve">;

// Argument: the options, as JSON.
const { dimensions, windows } = JSON.parse(process.argv[2] ?? "") as WindowsOptions;
const make = makerOf(dimensions, "literal");
const ring: object[] = Array.from({ length: BACKENDS.length }, () => ({}));
const names = dimensionsOf(dimensions);
// The loops need nothing else of it.
const subject = (windows === 1 ? limitedTracker(names) : await windowed()) as UsageTracker<string>;
answer(
  (await interleave(
    {
      record: sampleOf(() => recordKept(subject, BACKENDS, make, ring, CALLS)),
      check: sampleOf(() => checkKept(subject, BACKENDS, make, ring, CALLS)),
      tryRecord: sampleOf(() => tryRecordKept(subject, BACKENDS, make, ring, CALLS)),
      reserve: sampleOf(() => reserveAndSettleKept(subject, BACKENDS, make, ring, CALLS)),
    },
    ROUNDS,
  )) satisfies WindowsTimes,
);
process.exit();

async function windowed(): Promise<Subject> {
  const chosen = Object.entries(SCHEMES).slice(0, windows);
  const limits = Object.fromEntries(names.map((name) => [name, LIMIT]));
  const usage = await openUsage<string, string>({
    windows: Object.fromEntries(chosen),
    counter: (periods: PeriodScheme) => new LocalCounterBackend<string>(BACKENDS, { periods, dimensions: names }),
    store: memoryStore({ dimensions: names }),
    limits: () => Object.fromEntries(chosen.map(([window]) => [window, limits])),
    intervalMs: 2 ** 31 - 1,
  });
  await usage.ensure(BACKENDS);
  return usage;
}

function sampleOf(run: () => unknown): Sample {
  return () => {
    const start = process.hrtime.bigint();
    run();
    return Number(process.hrtime.bigint() - start) / CALLS;
  };
}
