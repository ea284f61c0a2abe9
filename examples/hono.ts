// Hono: monthly limits of requests and response bytes. Each API key is a tenant, and each tenant is a backend.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3 hono @hono/node-server
// node examples/hono.ts and then: curl -i -H "x-api-key: key-of-acme" localhost:3000
import { serve } from "@hono/node-server";
import { LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage, type UsageTracker } from "@usage/tracker";
import { toHeaders, toProblem } from "@usage/tracker/http";
import { Hono, type MiddlewareHandler } from "hono";

const TENANTS = new Map(Object.entries({ "key-of-acme": "acme", "key-of-globex": "globex" }));
const PLANS = { pro: { apiRequests: 1_000, egressBytes: 2 ** 30 }, trial: { egressBytes: 2 ** 20 } };
const LEAST = { apiRequests: 1, egressBytes: 1 };

function metered(usage: UsageTracker): MiddlewareHandler {
  return async (c, next) => {
    const tenant = TENANTS.get(c.req.header("x-api-key") ?? "");
    if (tenant === undefined) return c.text("unknown API key\n", 401);
    await usage.ensure(tenant); // reads what was used of a tenant that comes for the first time
    if (!usage.withinLimits(tenant, LEAST)) {
      const decision = usage.check(tenant, LEAST);
      const headers = { ...toHeaders(decision), "content-type": "application/problem+json" };
      return c.json(toProblem(decision), 429, headers);
    }
    usage.record(tenant, { apiRequests: 1 });
    await next();
    if (c.res.body === null) return;
    // Each piece counts when it is about to go out: nothing more of an answer whose client left.
    const counted = new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        usage.record(tenant, { egressBytes: piece.byteLength });
        controller.enqueue(piece);
      },
    });
    c.res = new Response(c.res.body.pipeThrough(counted), c.res);
  };
}

const store = await openSqliteStore("usage.db");
const usage = await openUsage({
  counter: new LocalCounterBackend(), // tenants come as they are ensured
  store,
  limits: (tenant) => (tenant === "acme" ? PLANS.pro : PLANS.trial),
});

const app = new Hono().use(metered(usage));
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
