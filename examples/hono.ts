// Hono: monthly limits of requests and response bytes. Each API key is a tenant, and each tenant is a backend.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3 hono @hono/node-server
// node examples/hono.ts and then: curl -i -H "x-api-key: key-of-acme" localhost:3000
import { serve } from "@hono/node-server";
import { LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage } from "@usage/tracker";
import { metered } from "@usage/tracker/hono";
import { Hono } from "hono";

const TENANTS = new Map(Object.entries({ "key-of-acme": "acme", "key-of-globex": "globex" }));
const PLANS = { pro: { apiRequests: 1_000, egressBytes: 2 ** 30 }, trial: { egressBytes: 2 ** 20 } };

const store = await openSqliteStore("usage.db");
const usage = await openUsage({
  counter: new LocalCounterBackend(), // tenants come as they are ensured
  store,
  limits: (tenant) => (tenant === "acme" ? PLANS.pro : PLANS.trial),
});

const app = new Hono();
app.use(metered(usage, { key: (c) => TENANTS.get(c.req.header("x-api-key") ?? ""), responseBytes: "egressBytes" }));
app.get("/", (c) => c.text("hello\n"));
app.get("/large", (c) => c.body(ReadableStream.from(Array(2_000).fill(new Uint8Array(65_536)))));

const port = Number(process.env.PORT ?? 3000);
const server = serve({ fetch: app.fetch, port }, (at) => console.log(`http://localhost:${at.port}`));
/** Once the server is closed and running answers have ended. */
async function stop(): Promise<void> {
  await usage.close(); // what is counted is stored, or this rejects
  await store.close();
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close(stop));
