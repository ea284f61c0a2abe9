// Fastify: monthly limits of requests and response bytes. Each API key is a tenant, and each tenant is a backend.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3 fastify
// node examples/fastify.ts and then: curl -i -H "x-api-key: key-of-acme" localhost:3000
import { Readable } from "node:stream";
import { LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage } from "@usage/tracker";
import { metered } from "@usage/tracker/fastify";
import { type FastifyRequest, fastify } from "fastify";

const TENANTS = new Map(Object.entries({ "key-of-acme": "acme", "key-of-globex": "globex" }));
const PLANS = { pro: { apiRequests: 1_000, egressBytes: 2 ** 30 }, trial: { egressBytes: 2 ** 20 } };

const store = await openSqliteStore("usage.db");
const usage = await openUsage({
  counter: new LocalCounterBackend(), // tenants come as they are ensured
  store,
  limits: (tenant) => (tenant === "acme" ? PLANS.pro : PLANS.trial),
});

const app = fastify();
const key = ({ headers }: FastifyRequest): string | undefined => TENANTS.get(String(headers["x-api-key"]));
app.addHook("onRequest", metered(usage, { key, responseBytes: "egressBytes" }));
app.get("/", async () => "hello\n");
app.get("/large", async () => Readable.from(Array(2_000).fill(Buffer.alloc(65_536))));

console.log(await app.listen({ port: Number(process.env.PORT ?? 3000) }));
async function stop(): Promise<void> {
  await app.close(); // once running answers have ended
  await usage.close(); // what is counted is stored, or this rejects
  await store.close();
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, stop);
