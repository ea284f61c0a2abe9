import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import type { UsageTracker } from "@usage/tracker";
import { answer } from "../child.ts";
import { checkReused, recordReused, tryRecordReused } from "./loops.ts";
import { BACKENDS, limitedTracker } from "./subjects.ts";
import { dimensionsOf } from "./usage-shapes.ts";

/** What `CALLS` calls with one object allocated. */
export interface Allocations {
  readonly bytesPerCall: number;
  readonly collections: number;
}

const CALLS = 20_000_000;
const WARMUP_CALLS = 2_000_000;

// An amount beyond 2^31 is a number on the heap wherever V8 cannot keep it in a register.
const usage = { apiRequests: 1, egressBytes: 3 * 2 ** 30, ingressBytes: 700 };
let collections = 0;
const observer = new PerformanceObserver((list) => {
  collections += list.getEntries().length;
});

const record = await allocations((tracker, calls) => recordReused(tracker, BACKENDS, usage, calls));
const check = await allocations((tracker, calls) => void checkReused(tracker, BACKENDS, usage, calls));
const tryRecord = await allocations((tracker, calls) => void tryRecordReused(tracker, BACKENDS, usage, calls));
answer({ record, check, tryRecord });

/** On a tracker of its own: what all of them count together would pass 2^53-1. */
async function allocations(run: (tracker: UsageTracker<string>, calls: number) => void): Promise<Allocations> {
  const tracker = limitedTracker(dimensionsOf(3));
  for (let i = 0; i < 5; i++) run(tracker, WARMUP_CALLS);
  globalThis.gc?.();
  await setImmediate();
  observer.observe({ entryTypes: ["gc"] });
  collections = 0;
  const before = process.memoryUsage().heapUsed;
  run(tracker, CALLS);
  const after = process.memoryUsage().heapUsed;
  // The observer is told of collections in a later turn.
  await setImmediate();
  await setImmediate();
  observer.disconnect();
  return { bytesPerCall: Math.max(0, after - before) / CALLS, collections };
}
