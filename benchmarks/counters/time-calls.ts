import { RateLimiterMemory } from "rate-limiter-flexible";
import { answer } from "../child.ts";
import { interleave, roundsOf, type Sample } from "../rounds.ts";
import { BareCounter } from "./bare-counter.ts";
import { packagesOf } from "./checkout.ts";
import {
  bareDropped,
  bareKept,
  checkAndRecordKept,
  checkDropped,
  checkKept,
  consume,
  consumeThree,
  recordDropped,
  recordKept,
  tryRecordKept,
} from "./loops.ts";
import { useOtherLists } from "./other-lists.ts";
import { BACKENDS, limitedTracker } from "./subjects.ts";
import { type DimensionCount, dimensionsOf, makerOf, type Shape } from "./usage-shapes.ts";

/** What one process measures. */
export interface CallsOptions {
  readonly dimensions: DimensionCount;
  /** @default "literal" */
  readonly shape?: Shape;
  /** Whether counters of other dimension lists were used before. @default false */
  readonly mixed?: boolean;
  /** The checkout whose packages are measured. @default this one */
  readonly checkout?: string;
  /** Whether the other limiter is measured, too. @default false */
  readonly peers?: boolean;
}

/** Samples in nanoseconds per call, by subject. `tryRecord` is empty in a checkout that has none. */
export interface CallTimes {
  readonly kept: Record<"record" | "check" | "checkAndRecord" | "tryRecord" | "bare", number[]>;
  readonly peers?: Record<"record" | "check" | "bare" | "consume" | "consumeThree", number[]>;
}

const CALLS = 200_000;
const SLOW_CALLS = 10_000;
const ROUNDS = roundsOf({ rounds: 21, warmups: 8 });

// Argument: the options, as JSON.
const options = JSON.parse(process.argv[2] ?? "") as CallsOptions;
const { dimensions, shape = "literal", mixed = false, checkout, peers = false } = options;
const packages = await packagesOf(checkout);
if (mixed) useOtherLists(packages);
const tracker = limitedTracker(dimensionsOf(dimensions), packages);
const bare = new BareCounter(BACKENDS);
const ring: object[] = Array.from({ length: 16 }, () => ({}));
const make = makerOf(dimensions, shape);
// A function of its own, so that what V8 learns about the one that the tracker gets does not reach the bare loop.
const makeThree = (i: number) => ({ apiRequests: 1, egressBytes: i & 0xfffff, ingressBytes: 700 });

const subjects: Partial<Record<keyof CallTimes["kept"], Sample>> = {
  record: () => nsPerCall(CALLS, () => recordKept(tracker, BACKENDS, make, ring, CALLS)),
  check: () => nsPerCall(CALLS, () => expectAll(checkKept(tracker, BACKENDS, make, ring, CALLS))),
  checkAndRecord: () => nsPerCall(CALLS, () => expectAll(checkAndRecordKept(tracker, BACKENDS, make, ring, CALLS))),
  bare: () => nsPerCall(CALLS, () => bareKept(bare, BACKENDS, makeThree, ring, CALLS)),
};
if ("tryRecord" in tracker) {
  subjects.tryRecord = () => nsPerCall(CALLS, () => expectAll(tryRecordKept(tracker, BACKENDS, make, ring, CALLS)));
}
const sampled: Partial<CallTimes["kept"]> = await interleave(
  subjects as Record<keyof CallTimes["kept"], Sample>,
  ROUNDS,
);
const kept = { tryRecord: [], ...sampled } as CallTimes["kept"];
answer({ kept, ...(peers && { peers: await peerTimes() }) } satisfies CallTimes);

function peerTimes(): Promise<NonNullable<CallTimes["peers"]>> {
  const limiter = new RateLimiterMemory({ points: Number.MAX_SAFE_INTEGER, duration: 86_400 });
  return interleave(
    {
      record: () => nsPerCall(CALLS, () => recordDropped(tracker, BACKENDS, make, CALLS)),
      check: () => nsPerCall(CALLS, () => expectAll(checkDropped(tracker, BACKENDS, make, CALLS))),
      bare: () => nsPerCall(CALLS, () => bareDropped(bare, BACKENDS, makeThree, CALLS)),
      consume: () => nsPerCall(SLOW_CALLS, () => consume(limiter, BACKENDS, SLOW_CALLS)),
      consumeThree: () => nsPerCall(SLOW_CALLS, () => consumeThree(limiter, BACKENDS, SLOW_CALLS)),
    },
    ROUNDS,
  );
}

async function nsPerCall(calls: number, run: () => void | Promise<void>): Promise<number> {
  const start = performance.now();
  await run();
  return ((performance.now() - start) * 1e6) / calls;
}

function expectAll(allowed: number): void {
  if (allowed !== CALLS) throw new Error(`${allowed} of ${CALLS} checks were within limits that nothing can reach`);
}
