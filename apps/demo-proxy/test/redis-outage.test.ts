import { setTimeout as sleep } from "node:timers/promises";
import { type RedisServer, startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Address } from "../src/config/address.ts";
import { redisLog } from "../src/log/redis-log.ts";
import { startApp } from "./support/app.ts";
import { call } from "./support/call.ts";
import { recordedLog } from "./support/recorded-log.ts";
import { countsKey, NOTHING, report, type Servers, SOON, share, startTraffic } from "./support/shared-proxies.ts";

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis({ config: { appendonly: "yes" } }), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

function healthy(admin: Address): Promise<boolean> {
  return report(admin).then(({ counter }) => counter.healthy);
}

describe("two proxies whose Redis goes away", () => {
  it.each<[how: string, away: (redis: RedisServer) => unknown, back: (redis: RedisServer) => unknown]>([
    ["is killed and comes back with what it had", (redis) => redis.kill(), (redis) => redis.start()],
    ["is killed and comes back with nothing", (redis) => redis.kill(), (redis) => redis.startEmpty()],
    ["hangs for a while", (redis) => redis.pause(), (redis) => redis.resume()],
  ])("serve every request and count each exactly once when it %s", async (_, away, back) => {
    const { config, upstream, name, inRedis } = await share(servers);
    const proxies = [await startApp(config), await startApp(config)];
    const clients = proxies.map(({ proxy }) => startTraffic(proxy));
    await sleep(300);
    await away(servers.redis);
    for (const { admin } of proxies) {
      await vi.waitFor(async () => expect(await healthy(admin)).toBe(false), SOON);
      expect((await call(admin, "/readyz")).status).toBe(200);
    }
    const before = upstream.measured().apiRequests;
    await sleep(300);
    expect(upstream.measured().apiRequests).toBeGreaterThan(before);
    // Flushes need no Redis.
    for (const { app } of proxies) await app.flusher.flush();

    await back(servers.redis);
    for (const { admin } of proxies) await vi.waitFor(async () => expect(await healthy(admin)).toBe(true), SOON);
    await sleep(100);
    for (const client of clients) {
      await client.stop();
      expect(client.answers()).toMatchObject({ refused: 0, failed: 0 });
    }
    const usage = upstream.measured();
    for (const { app, admin } of proxies) {
      await vi.waitFor(async () => {
        expect((await report(admin)).backend).toMatchObject({ usage, unpushed: NOTHING });
      }, SOON);
      await app.flusher.flush();
    }
    expect(await proxies[0]?.app.store.history({ backend: name })).toMatchObject([{ usage }]);
    // The second flush brings what the store knew to a Redis that knew nothing.
    for (const { app } of proxies) await app.flusher.flush();
    expect(await inRedis()).toEqual(usage);
    for (const { admin } of proxies) {
      expect((await report(admin)).backend).toMatchObject({ usage, unstored: NOTHING });
    }
  });
});

describe("the log of a proxy", () => {
  it("has one line when Redis is away and one when it is back, and tells what was lost or cannot be used", async () => {
    const { config, name, prefix } = await share(servers);
    const { log, lines } = recordedLog();
    const { proxy, admin } = await startApp(config, { onRedis: redisLog(log) });
    const messages = () => lines.map(({ msg }) => msg);
    await call(proxy, "/objects/1");
    await vi.waitFor(async () => expect((await report(admin)).backend.unpushed).toEqual(NOTHING), SOON);
    const period = new Date().toISOString().slice(0, 7);

    await servers.redis.kill();
    await vi.waitFor(async () => expect(await healthy(admin)).toBe(false), SOON);
    await sleep(1_500);
    await servers.redis.start();
    await vi.waitFor(async () => expect(await healthy(admin)).toBe(true), SOON);
    expect(messages()[0]).toMatch(/^Redis is away, limits go by what was last known of other instances: ./);
    // The client tells why there is no connection when it has tried to make another one.
    const reason = lines.find(({ error }) => String(error).includes("ECONNREFUSED"));
    expect(reason).toMatchObject({
      event: "redis-away",
      msg: expect.stringMatching(/^Redis is (still )?away.*127\.0\.0\.1:/),
    });
    expect(messages().at(-1)).toBe("Redis is back, counts are shared again");
    lines.length = 0;

    await vi.waitFor(async () => expect((await report(admin)).backend.unpushed).toEqual(NOTHING), SOON);
    // A single key that is lost or spoilt shows with the next request of its backend.
    await servers.redis.command("DEL", countsKey(prefix, name));
    await call(proxy, "/objects/1");
    const loss = `Redis lost shared counts of "${name}" in ${period}, they are being made whole again`;
    await vi.waitFor(() => expect(messages()).toEqual([loss]), SOON);

    await vi.waitFor(async () => expect((await report(admin)).backend.unpushed).toEqual(NOTHING), SOON);
    await servers.redis.command("SET", countsKey(prefix, name), "mine");
    await call(proxy, "/objects/1");
    const refusal = `the shared counts of "${name}" in ${period} cannot be used: the key ${countsKey(prefix, name)} cannot be used: `;
    await vi.waitFor(() => expect(messages().slice(1)).toEqual([expect.stringContaining(refusal)]), SOON);
    await sleep(1_500);
    expect(lines).toHaveLength(2);
    expect((await call(proxy, "/objects/1")).status).toBe(200);
  });
});
