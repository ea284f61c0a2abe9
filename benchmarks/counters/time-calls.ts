import { RateLimiterMemory } from "rate-limiter-flexible";
import { answer } from "../child.ts";
import { interleave } from "../rounds.ts";
import { BareCounter } from "./bare-counter.ts";
import {
  bareDropped,
  bareKept,
  checkDropped,
  checkKept,
  consume,
  consumeThree,
  recordDropped,
  recordKept,
} from "./loops.ts";
import { BACKENDS, limitedTracker } from "./subjects.ts";
import { type DimensionCount, USAGE_OF } from "./usage-shapes.ts";

/** Samples in nanoseconds per call, by subject; those in the second line for three dimensions on the heap only. */
export interface CallTimes {
  readonly kept: Record<"record" | "check" | "bare", number[]>;
  readonly peers?: Record<"record" | "check" | "bare" | "consume" | "consumeThree", number[]>;
}

const CALLS = 200_000;
const SLOW_CALLS = 10_000;
const ROUNDS = { rounds: 21, warmups: 8 };

// Arguments: the number of dimensions, and `heap` or `shared`.
const dimensions = Number(process.argv[2]) as DimensionCount;
const shared = process.argv[3] === "shared";
const tracker = limitedTracker({ dimensions, shared });
const bare = new BareCounter(BACKENDS);
const ring: object[] = Array.from({ length: 16 }, () => ({}));
const make = USAGE_OF[dimensions];
// A function of its own, so that what V8 learns about the one that the tracker gets does not reach the bare loop.
const makeThree = (i: number) => ({ apiRequests: 1, egressBytes: i & 0xfffff, ingressBytes: 700 });

const kept = await interleave(
  {
    record: () => nsPerCall(CALLS, () => recordKept(tracker, BACKENDS, make, ring, CALLS)),
    check: () => nsPerCall(CALLS, () => expectAll(checkKept(tracker, BACKENDS, make, ring, CALLS))),
    bare: () => nsPerCall(CALLS, () => bareKept(bare, BACKENDS, makeThree, ring, CALLS)),
  },
  ROUNDS,
);
const times: CallTimes = dimensions === 3 && !shared ? { kept, peers: await peerTimes() } : { kept };
answer(times);

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
