import type { Program } from "./bundles.ts";

const USED = { apiRequests: 2, egressBytes: 20 };

/** Counts up to a limit, makes a mistake, and prints what arrived in the store. */
const COUNT = `
const usage = await openUsage({ counter, store, limits: () => ({ apiRequests: 2 }) });
const tenant = process.argv[4];
await usage.ensure(tenant);
const taken = [1, 2, 3].map(() => usage.tryRecord(tenant, { apiRequests: 1, egressBytes: 10 }));
let mistake;
try {
  usage.record("nobody", { apiRequests: 1 });
} catch ({ name, code }) {
  mistake = { name, code };
}
await usage.close();
const stored = (await store.history({ backend: tenant })).map(({ usage }) => usage);
console.log(JSON.stringify({ taken, mistake, stored }));
await store.close?.();
`;

const COUNTED = {
  taken: [true, true, false],
  mistake: { name: "UnknownBackendError", code: "USAGE_UNKNOWN_BACKEND" },
  stored: [USED],
};

/** Each gets the URLs of an empty Redis database and of a Postgres database, and a tenant that is nobody else's. */
export const PROGRAMS: readonly Program[] = [
  {
    title: "a local counter and a store in memory",
    code: `
import { LocalCounterBackend, memoryStore } from "@usage/counter-core";
import { openUsage } from "@usage/tracker";
const counter = new LocalCounterBackend();
const store = memoryStore();
${COUNT}`,
    prints: COUNTED,
  },
  {
    title: "a local counter and a store on SQLite",
    code: `
import { LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage } from "@usage/tracker";
const counter = new LocalCounterBackend();
const store = await openSqliteStore("usage.db");
${COUNT}`,
    prints: COUNTED,
    outside: ["better-sqlite3"],
  },
  {
    title: "a local counter and a store on Postgres",
    code: `
import { LocalCounterBackend } from "@usage/counter-core";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openUsage } from "@usage/tracker";
const counter = new LocalCounterBackend();
const store = await openPostgresStore(process.argv[3]);
${COUNT}`,
    prints: COUNTED,
  },
  {
    title: "a counter on Redis, and another one that sees what it counts",
    code: `
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { Redis } from "ioredis";
const open = async () => {
  const client = new Redis(process.argv[2], recommendedClientOptions);
  return { client, counter: await RedisCounterBackend.connect({ client }) };
};
const [one, other] = await Promise.all([open(), open()]);
await one.counter.ensure(["acme"], async () => []);
one.counter.addAll("acme", { apiRequests: 2, egressBytes: 20 });
await one.counter.sync();
await other.counter.ensure(["acme"], async () => []);
console.log(JSON.stringify(other.counter.totalAll("acme")));
for (const { client, counter } of [one, other]) {
  await counter.close();
  client.disconnect();
}
`,
    prints: { ...USED, ingressBytes: 0 },
  },
  {
    title: "threads that count on one counter",
    code: `
import { once } from "node:events";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { attach, ThreadedCounterBackend } from "@usage/counter-core";
if (isMainThread) {
  const counter = new ThreadedCounterBackend(["acme"]);
  counter.addAll("acme", { apiRequests: 1 });
  await once(new Worker(new URL(import.meta.url), { workerData: counter.handle }), "exit");
  console.log(JSON.stringify(counter.totalAll("acme")));
} else {
  attach(workerData).addAll("acme", { apiRequests: 1, egressBytes: 20 });
}
`,
    prints: { ...USED, ingressBytes: 0 },
  },
];
