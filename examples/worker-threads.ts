// Worker threads record on the main thread's counter, exactly and without messages; the main thread counts and flushes.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3
// node examples/worker-threads.ts
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { attach, ThreadedCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage } from "@usage/tracker";

if (isMainThread) await countAndFlush();
else work();

async function countAndFlush(): Promise<void> {
  const counter = new ThreadedCounterBackend(["oci", "b2"]); // no backends can be added later
  const store = await openSqliteStore("usage.db");
  const usage = await openUsage({ counter, store, limits: { oci: { apiRequests: 200_000 } }, intervalMs: 20 });

  const workers = Array.from(Array(2), () => new Worker(new URL(import.meta.url), { workerData: counter.handle }));
  const working = Promise.all(workers.map((worker) => once(worker, "exit")));
  for (let i = 0; i < 1_000; i++) {
    usage.record("oci", { apiRequests: 1, egressBytes: 10 });
    await setImmediate();
  }
  await working;
  const { usage: used, allowed } = usage.check("oci", { apiRequests: 1 }); // sees what all threads recorded
  console.log(`${used.apiRequests} requests, ${used.egressBytes} bytes; room for another: ${allowed}`);
  await usage.close();
  await store.close();
}

function work(): void {
  const recorder = attach(workerData);
  for (let i = 0; i < 50_000; i++) recorder.addAll("oci", { apiRequests: 1, egressBytes: 10 });
}
