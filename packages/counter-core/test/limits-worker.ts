import { parentPort, workerData } from "node:worker_threads";
import { attach, type ThreadedCounterHandle } from "@usage/counter-core";

interface Work {
  readonly handle: ThreadedCounterHandle;
  /** [set once it may begin, threads that run, what was admitted and used] */
  readonly progress: SharedArrayBuffer;
}

const { handle, progress } = workerData as Work;
const [GO, RUNNING, USED] = [0, 1, 2];
const told = new Int32Array(progress);
const recorder = attach(handle);
Atomics.add(told, RUNNING, 1);
Atomics.wait(told, GO, 0);

/** Until it is refused. */
function useUp(backend: string): void {
  for (let i = 0, goesOn = true; goesOn; i++) {
    const hold = recorder.hold(backend, { apiRequests: 3 });
    if (hold !== undefined && i % 3 === 0) {
      hold.void();
    } else if (hold !== undefined) {
      const rest = i % 3;
      Atomics.add(told, USED, 1 + rest);
      hold.count({ apiRequests: 1 });
      hold.settle({ apiRequests: rest });
    }
    const isAdmitted = recorder.tryAddAll(backend, { apiRequests: 1, egressBytes: 5 });
    if (isAdmitted) Atomics.add(told, USED, 1);
    goesOn = isAdmitted || hold !== undefined;
  }
}

for (const backend of handle.backends) useUp(backend);
parentPort?.postMessage("done");
