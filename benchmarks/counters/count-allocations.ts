import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { answer } from "../child.ts";
import { checkReused, recordReused } from "./loops.ts";
import { BACKENDS, limitedTracker } from "./subjects.ts";

/** What `CALLS` calls with one object allocated. */
export interface Allocations {
  readonly bytesPerCall: number;
  readonly collections: number;
}

const CALLS = 20_000_000;
const WARMUP_CALLS = 2_000_000;

const tracker = limitedTracker({ dimensions: 3, shared: false });
// An amount beyond 2^31 is a number on the heap wherever V8 cannot keep it in a register.
const usage = { apiRequests: 1, egressBytes: 3 * 2 ** 30, ingressBytes: 700 };
let collections = 0;
const observer = new PerformanceObserver((list) => {
  collections += list.getEntries().length;
});

const record = await allocations((calls) => recordReused(tracker, BACKENDS, usage, calls));
const check = await allocations((calls) => void checkReused(tracker, BACKENDS, usage, calls));
answer({ record, check });

async function allocations(run: (calls: number) => void): Promise<Allocations> {
  for (let i = 0; i < 5; i++) run(WARMUP_CALLS);
  globalThis.gc?.();
  await setImmediate();
  observer.observe({ entryTypes: ["gc"] });
  collections = 0;
  const before = process.memoryUsage().heapUsed;
  run(CALLS);
  const after = process.memoryUsage().heapUsed;
  // The observer is told of collections in a later turn.
  await setImmediate();
  await setImmediate();
  observer.disconnect();
  return { bytesPerCall: Math.max(0, after - before) / CALLS, collections };
}
