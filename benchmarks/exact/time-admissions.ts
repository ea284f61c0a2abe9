import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { memoryStore } from "@usage/counter-core";
import { RedisCounterBackend } from "@usage/counter-redis";
import { UsageTracker } from "@usage/tracker";
import { answer } from "../child.ts";
import { packagesOf } from "../counters/checkout.ts";
import { checkAndRecordKept, estimateAndRecordKept, reserveAndSettleKept, tryRecordKept } from "../counters/loops.ts";
import { BACKENDS, limitedTracker } from "../counters/subjects.ts";
import { type DimensionCount, dimensionsOf, makerOf } from "../counters/usage-shapes.ts";
import { openClient } from "../redis/clients.ts";
import { interleave, roundsOf, type Sample } from "../rounds.ts";
import { threadTimeNs } from "../thread-time.ts";

/** What one process measures. */
export interface AdmissionOptions {
  readonly dimensions: DimensionCount;
  /** The server through which limits are exact. @default a local counter */
  readonly url?: string;
  /** The checkout whose packages are measured; there, what is admitted is checked, and counted in a second call. @default this one */
  readonly checkout?: string;
}

/** Samples in nanoseconds of this thread's CPU time per request, which leaves out what other programs take: admitted and counted; or admitted by an estimate, and counted later. */
export type AdmissionTimes = Record<"once" | "later", number[]>;

const CALLS = 400_000;
/** Between two turns of the event loop. */
const SLICE = 8_000;
const REFILL_MS = 5;
const ROUNDS = roundsOf({ rounds: 15, warmups: 8 });

// Argument: the options, as JSON.
const { dimensions, url, checkout } = JSON.parse(process.argv[2] ?? "") as AdmissionOptions;
const packages = await packagesOf(checkout);
const make = makerOf(dimensions, "literal");
const ring: object[] = Array.from({ length: BACKENDS.length }, () => ({}));
const ends = new AsyncDisposableStack();
const tracker = url === undefined ? limitedTracker(dimensionsOf(dimensions), packages) : await exactTracker(url);
const samples: Record<keyof AdmissionTimes, Sample> =
  checkout === undefined
    ? {
        once: sampleOf(() => tryRecordKept(tracker, BACKENDS, make, ring, SLICE)),
        later: sampleOf(() => reserveAndSettleKept(tracker, BACKENDS, make, ring, SLICE)),
      }
    : {
        once: sampleOf(() => checkAndRecordKept(tracker, BACKENDS, make, ring, SLICE)),
        later: sampleOf(() => estimateAndRecordKept(tracker, BACKENDS, make, ring, SLICE)),
      };
answer((await interleave(samples, ROUNDS)) satisfies AdmissionTimes);
await ends.disposeAsync();

/** Slices for what the last rounds used: the first calls are refused. */
async function exactTracker(server: string): Promise<UsageTracker<string>> {
  const client = await openClient(server);
  ends.defer(() => client.disconnect());
  const names = dimensionsOf(dimensions);
  const options = { client, backends: BACKENDS, dimensions: names, enforcement: "exact" } as const;
  const counter = await RedisCounterBackend.connect<string>({
    ...options,
    prefix: `admissions-${process.pid}`,
    claim: async (_period, buckets) => buckets,
  });
  ends.defer(() => counter.close());
  const limits = Object.fromEntries(names.map((name) => [name, 2 ** 52]));
  const exact = new UsageTracker<string>(counter, { store: memoryStore({ dimensions: names }), limits: () => limits });
  await exact.refresh();
  return exact;
}

/** What is refused costs more: a slice of calls in which anything was is not measured, and the counter has time to ask for more. */
function sampleOf(run: () => number): Sample {
  return async () => {
    let measured = 0;
    let ns = 0;
    for (let turn = 0; measured < CALLS; turn++) {
      if (turn > 20 * (CALLS / SLICE)) throw new Error(`only ${measured} calls were admitted`);
      const startNs = threadTimeNs();
      const allowed = run();
      const tookNs = threadTimeNs() - startNs;
      if (allowed === SLICE) {
        measured += SLICE;
        ns += tookNs;
        await setImmediate();
      } else await sleep(REFILL_MS);
    }
    return ns / measured;
  };
}
