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

function add(): boolean {
  const isAdmitted = recorder.tryAddAll("oci", { apiRequests: 1, egressBytes: 5 });
  if (isAdmitted) Atomics.add(told, USED, 1);
  return isAdmitted;
}

for (let i = 0, goesOn = true; goesOn; i++) {
  const hold = recorder.hold("oci", { apiRequests: 3 });
  if (hold !== undefined && i % 3 === 0) {
    hold.void();
  } else if (hold !== undefined) {
    Atomics.add(told, USED, 2);
    hold.count({ apiRequests: 1 });
    hold.settle({ apiRequests: 1 });
  }
  goesOn = add() || hold !== undefined;
}
parentPort?.postMessage("done");
