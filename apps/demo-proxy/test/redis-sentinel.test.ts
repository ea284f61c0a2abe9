import { randomUUID } from "node:crypto";
import {
  type RedisReplica,
  type RedisSentinels,
  startPostgres,
  startRedis,
  startReplica,
  startSentinels,
} from "@usage/test-servers";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { ProxyConfig, RedisConfig } from "../src/config/proxy-config.ts";
import { Secret } from "../src/credentials/secret.ts";
import { startApp, startUpstream, testConfig } from "./support/app.ts";
import { call } from "./support/call.ts";
import { NOTHING, report, type Servers, SOON } from "./support/shared-proxies.ts";

const PASSWORD = "hunter2-hunter2";

let servers: Servers & { readonly replica: RedisReplica; readonly sentinels: RedisSentinels };
beforeAll(async () => {
  const config = { requirepass: PASSWORD };
  const [redis, postgres] = await Promise.all([startRedis({ config }), startPostgres()]);
  const replica = await startReplica(redis, { config });
  servers = { redis, postgres, replica, sentinels: await startSentinels(redis, 1) };
});
afterAll(async () => {
  const { sentinels, replica, redis, postgres } = servers ?? {};
  await Promise.all([sentinels?.stop(), replica?.stop(), redis?.stop(), postgres?.stop()]);
});

/** Two proxies that find Redis by its Sentinels, and their backend. */
async function startTwo(enforcement: NonNullable<RedisConfig["enforcement"]>, limits = {}) {
  const { sentinels, postgres } = servers;
  const upstream = await startUpstream();
  // The first is not there, and the second hangs.
  const nodes = [1, ...sentinels.nodes.map(({ port }) => port)].map((port) => ({ host: "127.0.0.1", port }));
  const config: ProxyConfig = testConfig([{ name: `oci-${randomUUID()}`, url: upstream.url, limits }], {
    counter: {
      kind: "redis",
      prefix: `test-${randomUUID()}`,
      sentinel: { name: sentinels.name, nodes },
      password: new Secret(PASSWORD),
      enforcement,
      waitMs: 0,
    },
    store: { kind: "postgres", url: postgres.url },
  });
  const apps = [await startApp(config), await startApp(config)];
  const statuses = new Map<number, number>();
  const ask = async (times: number) => {
    for (let i = 0; i < times; i++) {
      for (const { proxy } of apps) {
        const { status } = await call(proxy, "/objects/10");
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    }
  };
  const allShared = () =>
    vi.waitFor(async () => {
      for (const { admin } of apps) {
        const { backend, counter } = await report(admin);
        expect([counter.healthy, backend.unpushed, backend.usage]).toEqual([true, NOTHING, upstream.measured()]);
      }
    }, SOON);
  return { apps, upstream, ask, allShared, served: () => statuses.get(200) ?? 0 };
}

it("a master that is lost with its last writes costs no count, and lets no limit be passed: Sentinels name the next one", async () => {
  const { redis, replica, sentinels } = servers;
  const LIMIT = 40;
  sentinels.nodes[0]?.pause();
  const approximate = await startTwo("approximate");
  const exact = await startTwo("exact", { apiRequests: LIMIT });
  sentinels.nodes[0]?.resume();
  const untilServed = (served: number) =>
    vi.waitFor(async () => {
      await exact.ask(1);
      expect(exact.served()).toBeGreaterThanOrEqual(served);
    }, SOON);
  await approximate.ask(5);
  await untilServed(10);
  for (const one of [approximate, exact]) await one.allShared();

  // What comes now, the master alone has.
  replica.pause();
  await approximate.ask(5);
  await untilServed(20);
  await approximate.allShared();
  expect(approximate.served()).toBe(20);
  await redis.kill();
  replica.resume();

  // Nobody waits for the new master.
  await approximate.ask(5);
  expect(approximate.served()).toBe(30);
  await vi.waitFor(async () => {
    await exact.ask(1);
    expect(await sentinels.masterPort()).toBe(replica.port);
  }, SOON);
  await approximate.ask(5);
  await approximate.allShared();
  expect(approximate.served()).toBe(40);

  // Slices that were granted by the lost master are not granted again, and in the end all of the limit is used.
  await untilServed(LIMIT);
  await exact.ask(5);
  expect([exact.served(), exact.upstream.measured().apiRequests]).toEqual([LIMIT, LIMIT]);
  await exact.allShared();
  expect(exact.upstream.measured()).toEqual({ apiRequests: LIMIT, egressBytes: 10 * LIMIT, ingressBytes: 0 });
}, 90_000);
