import { parentPort, workerData } from "node:worker_threads";
import { attach, LocalCounterBackend, type ThreadedCounterHandle, type UsageRecorder } from "@usage/counter-core";
import { BACKENDS } from "./subjects.ts";
import { dimensionsOf, makerOf } from "./usage-shapes.ts";

/** What a thread is given: the counter of another thread, or none, to count in one of its own. */
export interface ThreadData {
  readonly handle?: ThreadedCounterHandle<string>;
  /** Counts the threads that have begun a sample: each waits for the others. */
  readonly gate: SharedArrayBuffer;
  readonly threads: number;
}

const CALLS = 200_000;
const { handle, gate, threads } = workerData as ThreadData;
const recorder: UsageRecorder<string> =
  handle === undefined ? new LocalCounterBackend<string>(BACKENDS, { dimensions: dimensionsOf(3) }) : attach(handle);
const make = makerOf(3, "literal");
const ring: object[] = Array.from({ length: 16 }, () => ({}));
const begun = new Int32Array(gate);

/** Each message is the number of the sample, from 1 on; the reply is nanoseconds per call. */
parentPort?.on("message", (sample: number) => {
  Atomics.add(begun, 0, 1);
  Atomics.notify(begun, 0);
  for (let count = Atomics.load(begun, 0); count < sample * threads; count = Atomics.load(begun, 0)) {
    Atomics.wait(begun, 0, count);
  }
  const start = performance.now();
  for (let i = 0; i < CALLS; i++) {
    const usage = make(i);
    ring[i & 15] = usage;
    recorder.addAll(BACKENDS[i & 15] as string, usage);
  }
  parentPort?.postMessage(((performance.now() - start) * 1e6) / CALLS);
});
