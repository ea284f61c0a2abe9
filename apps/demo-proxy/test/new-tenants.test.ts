import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStore, type UsageStore } from "@usage/counter-core";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { startPostgres, startRedis } from "@usage/test-servers";
import { UsageTracker } from "@usage/tracker";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

let redis: Awaited<ReturnType<typeof startRedis>>;
let postgres: Awaited<ReturnType<typeof startPostgres>>;
beforeAll(async () => {
  [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
});
afterAll(() => Promise.all([redis?.stop(), postgres?.stop()]));

/** Far longer than any test may take: who is admitted did not wait for it. */
const LEASE_MS = 600_000;
let prefixes = 0;

async function instance(store: UsageStore, prefix: string, leaseMs = LEASE_MS): Promise<UsageTracker> {
  const client = new Redis(redis.url, recommendedClientOptions);
  client.on("error", () => {});
  const counter = await RedisCounterBackend.connect({ client, prefix, enforcement: "exact", leaseMs });
  onTestFinished(async () => {
    await counter.close();
    client.disconnect();
  });
  return new UsageTracker(counter, { store, defaults: { apiRequests: 10 } });
}

async function sqlite(): Promise<UsageStore> {
  const folder = await mkdtemp(join(tmpdir(), "new-tenants-"));
  const store = await openSqliteStore(join(folder, "usage.db"));
  onTestFinished(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });
  return store;
}

async function onPostgres(): Promise<UsageStore> {
  const store = await openPostgresStore(postgres.url);
  onTestFinished(() => store.close());
  return store;
}

describe("a new tenant with an exact limit", () => {
  it.each([
    ["SQLite", sqlite],
    ["Postgres", onPostgres],
  ])("waits for no lease where the store keeps marks: %s", async (_, open) => {
    const [store, prefix] = [await open(), `tenants${++prefixes}`];
    const [a, b] = [await instance(store, prefix), await instance(store, prefix)];
    for (const tenant of ["acme", "globex"]) {
      await Promise.all([a.ensure(tenant), b.ensure(tenant)]);
      const holds = await Promise.all(
        [a, b].map((tracker) => tracker.reserve(tenant, { apiRequests: 5 }, { waitMs: 10_000 })),
      );
      expect(holds.map((hold) => hold?.state)).toEqual(["open", "open"]);
      expect(a.check(tenant, { apiRequests: 6 })).toMatchObject({ allowed: false, mode: "exact" });
    }
  });

  it("is new for each prefix in one store, and waits a lease where it keeps no marks", async () => {
    const store = await sqlite();
    for (const prefix of [`tenants${++prefixes}`, `tenants${++prefixes}`]) {
      const tracker = await instance(store, prefix);
      await tracker.ensure("acme");
      expect(await tracker.reserve("acme", { apiRequests: 1 }, { waitMs: 10_000 })).toBeDefined();
    }
    const { claim: _, ...markless } = memoryStore();
    const tracker = await instance(markless, `tenants${++prefixes}`, 1_000);
    const started = performance.now();
    await tracker.ensure("acme");
    expect(tracker.check("acme", { apiRequests: 1 })).toMatchObject({ allowed: false, reason: "unready" });
    expect(await tracker.reserve("acme", { apiRequests: 1 }, { waitMs: 20_000 })).toBeDefined();
    expect(performance.now() - started).toBeGreaterThan(1_000);
  });
});
