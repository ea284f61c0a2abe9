import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { ThreadedCounterBackend } from "@usage/counter-core";
import { answer } from "../child.ts";
import { interleave, roundsOf, type Sample } from "../rounds.ts";
import { BACKENDS } from "./subjects.ts";
import type { ThreadData } from "./thread.ts";
import { dimensionsOf } from "./usage-shapes.ts";

/** Nanoseconds per `record`, the mean of all threads, by round: each in a counter of its own, or all in one. */
export type ThreadTimes = Record<"heap" | "threaded", number[]>;

// Argument: how many threads record at once.
const threads = Number(process.argv[2]);
const counter = new ThreadedCounterBackend<string>(BACKENDS, { dimensions: dimensionsOf(3), threads });
const heap = startThreads();
const threaded = startThreads(counter);
const times: ThreadTimes = await interleave(
  { heap: heap.sample, threaded: threaded.sample },
  roundsOf({ rounds: 21, warmups: 8 }),
);
await Promise.all([...heap.workers, ...threaded.workers].map((worker) => worker.terminate()));
answer(times);

function startThreads(shared?: ThreadedCounterBackend<string>): {
  readonly workers: readonly Worker[];
  readonly sample: Sample;
} {
  const gate = new SharedArrayBuffer(4);
  const workerData: ThreadData = { gate, threads, ...(shared && { handle: shared.handle }) };
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL("thread.ts", import.meta.url), { workerData }),
  );
  let samples = 0;
  const sample = async (): Promise<number> => {
    samples += 1;
    const replies = workers.map((worker) => once(worker, "message") as Promise<[number]>);
    for (const worker of workers) worker.postMessage(samples);
    const each = await Promise.all(replies);
    return each.reduce((sum, [ns]) => sum + ns, 0) / threads;
  };
  return { workers, sample };
}
