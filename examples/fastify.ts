// Fastify: monthly limits of requests and response bytes. Each API key is a tenant, and each tenant is a backend.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3 fastify
// node examples/fastify.ts and then: curl -i -H "x-api-key: key-of-acme" localhost:3000
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage, type UsageTracker } from "@usage/tracker";
import { toHeaders, toProblem } from "@usage/tracker/http";
import { fastify, type onRequestAsyncHookHandler } from "fastify";

const TENANTS = new Map(Object.entries({ "key-of-acme": "acme", "key-of-globex": "globex" }));
const PLANS = { pro: { apiRequests: 1_000, egressBytes: 2 ** 30 }, trial: { egressBytes: 2 ** 20 } };
const LEAST = { apiRequests: 1, egressBytes: 1 };

function metered(usage: UsageTracker): onRequestAsyncHookHandler {
  return async (request, reply) => {
    const tenant = TENANTS.get(String(request.headers["x-api-key"]));
    if (tenant === undefined) return reply.code(401).send("unknown API key\n");
    await usage.ensure(tenant); // reads what was used of a tenant that comes for the first time
    if (!usage.withinLimits(tenant, LEAST)) {
      const decision = usage.check(tenant, LEAST);
      reply.code(429).headers(toHeaders(decision)).type("application/problem+json");
      return reply.send(toProblem(decision));
    }
    usage.record(tenant, { apiRequests: 1 });
    onBytes(reply.raw, (egressBytes) => usage.record(tenant, { egressBytes }));
  };
}

/** Tells the size of each piece of the body about to go out; compressed, if compression is registered after it. */
function onBytes(res: ServerResponse, count: (bytes: number) => void): void {
  for (const method of ["write", "end"] as const) {
    const send = res[method].bind(res) as (...args: unknown[]) => never;
    res[method] = (piece?: unknown, ...rest: unknown[]) => {
      const goesOut = !res.destroyed && res.req.method !== "HEAD";
      if (goesOut && (typeof piece === "string" || piece instanceof Uint8Array)) count(Buffer.byteLength(piece));
      return send(piece, ...rest);
    };
  }
}

const store = await openSqliteStore("usage.db");
const usage = await openUsage({
  counter: new LocalCounterBackend(), // tenants come as they are ensured
  store,
  limits: (tenant) => (tenant === "acme" ? PLANS.pro : PLANS.trial),
});

const app = fastify();
app.addHook("onRequest", metered(usage));
app.get("/", async () => "hello\n");
app.get("/large", async () => Readable.from(Array(2_000).fill(Buffer.alloc(65_536))));

console.log(await app.listen({ port: Number(process.env.PORT ?? 3000) }));
async function stop(): Promise<void> {
  await app.close(); // once running answers have ended
  await usage.close(); // what is counted is stored, or this rejects
  await store.close();
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, stop);
