import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { memoryStore } from "@usage/counter-core";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { Redis } from "ioredis";
import { flush } from "./flush.ts";

/**
 * A process that takes what it can of a limit: node exact-worker.ts URL PREFIX LIMIT BURST IS-FIRST. It writes a byte for each
 * request that is admitted, before it is answered: what was written is there however the process ends.
 */
const [url = "", prefix = "", limit = "", burst = "", isFirst = ""] = process.argv.slice(2);
const client = new Redis(url, { ...recommendedClientOptions, commandTimeout: 30_000, socketTimeout: 60_000 });
const counter = await RedisCounterBackend.connect({
  client,
  prefix,
  backends: ["oci"],
  enforcement: "exact",
  claim: async (_, buckets) => (isFirst === "true" ? buckets : []),
});
counter.setLimits("oci", { apiRequests: Number(limit) });
const store = memoryStore();
counter.bind(store);
await flush(counter, store);
process.on("SIGTERM", () => {
  void counter.close().then(() => process.exit());
});
for (;;) {
  for (let i = 0; i < Number(burst); i++) if (counter.tryAddAll("oci", { apiRequests: 1 })) writeSync(1, "x");
  await sleep(2);
}
