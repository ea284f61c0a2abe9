import { parentPort, workerData } from "node:worker_threads";
import { attach, type ThreadedCounterHandle } from "@usage/counter-core";
import { hourOfSharedClock, sharedClock } from "./shared-clock.ts";

interface Work {
  readonly handle: ThreadedCounterHandle;
  readonly time: SharedArrayBuffer;
  readonly calls: number;
  /** Counts the calls that have returned; for a thread that is terminated. */
  readonly done?: SharedArrayBuffer;
}

const { handle, time, calls, done } = workerData as Work;
const returned = done && new Int32Array(done);
const recorder = attach(handle, { clock: sharedClock(time), periods: hourOfSharedClock });
for (let i = 0; i < calls; i++) {
  // Half of the calls add one by one, half of them several dimensions at once.
  if (i % 2 === 0) recorder.add("oci", "apiRequests", 1);
  else recorder.addAll("oci", { apiRequests: 1, egressBytes: 3 });
  if (returned !== undefined) Atomics.add(returned, 0, 1);
  // Lets this thread's own timer look at the clock, so that workers turn the period, too.
  if (i % 20_000 === 0) await new Promise((resolve) => setImmediate(resolve));
}
parentPort?.postMessage("done");
