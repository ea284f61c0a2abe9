// Worker threads record on the main thread's cells, exactly and without messages; the main thread counts and flushes.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3
// node examples/worker-threads.ts
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { UsageFlusher, UsageTracker } from "@usage/tracker";

if (isMainThread) await countAndFlush();
else work();

async function countAndFlush(): Promise<void> {
  const counter = new LocalCounterBackend(["oci", "b2"], { shared: true }); // no backends can be added later
  const tracker = new UsageTracker(counter, { limits: { oci: { apiRequests: 200_000 } } });
  const store = await openSqliteStore("usage.db");
  await tracker.refreshBaselines(store); // what earlier runs used of this month
  const flusher = new UsageFlusher({ tracker, store, intervalMs: 20 });
  flusher.start();

  const workers = Array.from(Array(2), () => new Worker(new URL(import.meta.url), { workerData: counter.handle }));
  const working = Promise.all(workers.map((worker) => once(worker, "exit")));
  for (let i = 0; i < 1_000; i++) {
    tracker.record("oci", { apiRequests: 1, egressBytes: 10 });
    await setImmediate();
  }
  await working;
  const { usage, allowed } = tracker.check("oci", { apiRequests: 1 }); // sees what all threads recorded
  console.log(`${usage.apiRequests} requests, ${usage.egressBytes} bytes; room for another: ${allowed}`);
  await flusher.stop();
  await store.close();
}

function work(): void {
  const recorder = LocalCounterBackend.attach(workerData);
  for (let i = 0; i < 50_000; i++) recorder.addAll("oci", { apiRequests: 1, egressBytes: 10 });
}
