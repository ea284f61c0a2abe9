import { STORAGE_DIMENSIONS, systemClock, utcMonths } from "@usage/counter-core";
import { bucketOf, RedisSharedCounts, recommendedClientOptions } from "@usage/counter-redis";
import { startPostgres, startRedis } from "@usage/test-servers";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { startApp } from "../../support/app.ts";
import { call } from "../../support/call.ts";
import { type Servers, SOON, share } from "../../support/shared-proxies.ts";

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

describe("POST /api/backends/:name/release", () => {
  it("gives to others what an instance that died keeps from them, and says how much that was", {
    timeout: 60_000,
  }, async () => {
    const { config, name, prefix } = await share(servers, { apiRequests: 100, enforcement: "exact" });
    const { proxy, admin } = await startApp(config);
    const client = new Redis(servers.redis.url, recommendedClientOptions);
    onTestFinished(() => client.disconnect());
    await new Promise((resolve) => client.once("ready", resolve));
    const shared = new RedisSharedCounts({ client, prefix, dimensions: STORAGE_DIMENSIONS, clock: systemClock });
    const bucket = { period: utcMonths.at(Date.now()), number: bucketOf(name) };
    const own = STORAGE_DIMENSIONS.map(() => 0);
    const pairs = STORAGE_DIMENSIONS.map((dimension) => {
      return { granted: dimension === "apiRequests" ? 100 : 0, returned: 0, forgiven: 0 };
    });
    await shared.merge(bucket, "dead", [{ backend: name, writer: "dead", own, pairs }]);
    await vi.waitFor(async () => expect((await call(proxy, "/objects/1")).status).toBe(429), SOON);
    const release = () => call(admin, `/api/backends/${name}/release`, { method: "POST" });
    const nothing = Object.fromEntries(STORAGE_DIMENSIONS.map((dimension) => [dimension, 0]));
    await vi.waitFor(
      async () => {
        const { status, json } = await release();
        expect([status, json]).toEqual([
          200,
          { name, forgiven: [{ writer: "dead", usage: { ...nothing, apiRequests: 100 } }] },
        ]);
      },
      { timeout: 40_000, interval: 500 },
    );
    await vi.waitFor(async () => expect((await call(proxy, "/objects/1")).status).toBe(200), SOON);
    expect((await release()).json).toEqual({ name, forgiven: [] });
  });
});
