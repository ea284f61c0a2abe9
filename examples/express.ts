// Express 5: monthly limits of requests and response bytes. Each API key is a tenant, and each tenant is a backend.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3 express
// node examples/express.ts and then: curl -i -H "x-api-key: key-of-acme" localhost:3000
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage } from "@usage/tracker";
import { metered } from "@usage/tracker/express";
import express from "express";

const TENANTS = new Map(Object.entries({ "key-of-acme": "acme", "key-of-globex": "globex" }));
const PLANS = { pro: { apiRequests: 1_000, egressBytes: 2 ** 30 }, trial: { egressBytes: 2 ** 20 } };

const store = await openSqliteStore("usage.db");
const usage = await openUsage({
  counter: new LocalCounterBackend(), // tenants come as they are ensured
  store,
  limits: (tenant) => (tenant === "acme" ? PLANS.pro : PLANS.trial),
});

const app = express();
app.use(metered(usage, { key: (req) => TENANTS.get(req.get("x-api-key") ?? ""), responseBytes: "egressBytes" }));
app.get("/", (_req, res) => void res.send("hello\n"));
app.get("/large", (_req, res) => void Readable.from(Array(2_000).fill(Buffer.alloc(65_536))).pipe(res));

const server = createServer(app).listen(Number(process.env.PORT ?? 3000), () => {
  console.log(`http://localhost:${(server.address() as AddressInfo).port}`);
});
/** Once the server is closed and running answers have ended. */
async function stop(): Promise<void> {
  await usage.close(); // what is counted is stored, or this rejects
  await store.close();
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close(stop));
