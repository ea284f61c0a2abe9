import { setTimeout as sleep } from "node:timers/promises";
import { memoryStore } from "@usage/counter-core";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { Redis } from "ioredis";
import { flush } from "./flush.ts";

/**
 * A process that opens a bucket and holds 40 of a limit of 100, of which it has counted 5: node holding-worker.ts URL PREFIX LEASE-MS.
 * It writes a line once Redis knows.
 */
const [url = "", prefix = "", leaseMs = ""] = process.argv.slice(2);
const client = new Redis(url, { ...recommendedClientOptions, commandTimeout: 30_000, socketTimeout: 60_000 });
const counter = await RedisCounterBackend.connect({
  client,
  prefix,
  backends: ["oci"],
  enforcement: "exact",
  leaseMs: Number(leaseMs),
  claim: async (_, buckets) => buckets,
});
counter.setLimits("oci", { apiRequests: 100 });
const store = memoryStore();
counter.bind(store);
await flush(counter, store);
let hold = counter.hold("oci", { apiRequests: 40 });
while (hold === undefined) {
  await sleep(2);
  hold = counter.hold("oci", { apiRequests: 40 });
}
hold.count({ apiRequests: 5 });
while (counter.unpushedAll("oci").apiRequests > 0) await sleep(2);
console.log("holds");
