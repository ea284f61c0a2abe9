import type { UsageStore } from "@usage/counter-core";
import { memoryStore } from "@usage/counter-core";
import { startPostgres, startRedis, startRedisCluster } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { compose } from "../src/compose.ts";
import { startApp, testConfig } from "./support/app.ts";
import { call } from "./support/call.ts";
import { connections, NOTHING, report, type Servers, SOON, share } from "./support/shared-proxies.ts";

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

describe("two proxies on one Redis and one Postgres", () => {
  it("see each other's usage without a flush, and say how fresh it is", async () => {
    const { config, upstream } = await share(servers);
    const [one, other] = [await startApp(config), await startApp(config)];
    for (let i = 0; i < 5; i++) await call(one.proxy, "/objects/100");
    await call(other.proxy, "/objects/100", { method: "PUT", body: "12345" });
    const usage = upstream.measured();
    for (const { admin } of [one, other]) {
      await vi.waitFor(async () => {
        const { backend, counter, store } = await report(admin);
        expect(backend).toMatchObject({ usage, unstored: usage, unpushed: NOTHING });
        expect(counter).toEqual({
          kind: "redis",
          enforcement: "approximate",
          healthy: true,
          sharedAt: expect.stringMatching(/^\d{4}-.*Z$/),
          sharedAgeMs: expect.any(Number),
          lastError: null,
        });
        expect(counter.sharedAgeMs).toBeLessThan(1_000);
        expect(store.lastFlush).toBeNull();
      }, SOON);
    }
  });

  it("refuse through one what was used up through the other", async () => {
    const { config, upstream } = await share(servers, { apiRequests: 4 });
    const [one, other] = [await startApp(config), await startApp(config)];
    for (let i = 0; i < 4; i++) expect((await call(one.proxy, "/objects/1")).status).toBe(200);
    await vi.waitFor(async () => expect((await report(other.admin)).backend.withinLimits).toBe(false), SOON);
    expect((await call(other.proxy, "/objects/1")).status).toBe(429);
    expect(upstream.measured().apiRequests).toBe(4);
  });

  it("store what the other one has shared and does not store", async () => {
    const { config, upstream, name } = await share(servers);
    const [one, other] = [await startApp(config), await startApp(config)];
    for (let i = 0; i < 3; i++) await call(one.proxy, "/objects/7");
    const usage = upstream.measured();
    await vi.waitFor(async () => expect((await report(other.admin)).backend.usage).toEqual(usage), SOON);
    // The first flush notes what is shared; what the store still lacks of it at the second would not come by itself.
    await other.app.flusher.flush();
    await other.app.flusher.flush();
    expect(await other.app.store.history({ backend: name })).toMatchObject([
      { usage: { apiRequests: 3, egressBytes: 21 } },
    ]);
    // What others have in the store, a flush learns before it stores.
    await other.app.flusher.flush();
    expect((await report(other.admin)).backend).toMatchObject({ usage, unstored: NOTHING });
  });
});

describe("settings that are changed by API, of proxies on one Redis and one Postgres", () => {
  it("are in force at the others, for one of two who change at once, after a restart, and as they were while the store is away", async () => {
    const { config, name } = await share(servers, { apiRequests: 100 });
    const [one, other] = [await startApp(config), await startApp(config)];
    type Proxy = typeof one;
    const send = ({ admin }: Proxy, method: string, path: string, body: object = {}, headers = {}) =>
      call(admin, `/api/backends/${name}/${path}`, { method, headers, body: JSON.stringify(body) });
    const limits = (apiRequests: number) => ({ limits: { apiRequests }, by: "ada" });
    const inForce = async ({ admin }: Proxy) => {
      const { limits, draining } = (await report(admin)).backend;
      return { ...limits, draining };
    };
    expect((await send(one, "PUT", "limits", limits(2))).status).toBe(200);
    await vi.waitFor(async () => expect(await inForce(other)).toEqual({ apiRequests: 2, draining: false }), SOON);
    const statuses: number[] = [];
    for (const { proxy } of [other, other, other]) statuses.push((await call(proxy, "/objects/1")).status);
    expect(statuses).toEqual([200, 200, 429]);
    // Both have seen the first revision.
    const rivals = await Promise.all([
      send(one, "PUT", "limits", limits(3), { "if-match": '"1"' }),
      send(other, "PUT", "limits", limits(4), { "if-match": '"1"' }),
    ]);
    expect(rivals.map(({ status }) => status).sort()).toEqual([200, 412]);
    const apiRequests = rivals[0]?.status === 200 ? 3 : 4;
    expect(rivals.find(({ status }) => status === 412)?.json).toMatchObject({ value: { apiRequests }, by: "ada" });
    for (const proxy of [one, other]) {
      await vi.waitFor(async () => expect(await inForce(proxy)).toEqual({ apiRequests, draining: false }), SOON);
    }
    expect((await send(other, "POST", "drain")).status).toBe(200);
    await one.app.stop({ graceMs: 0 });
    const again = await startApp(config);
    const kept = { apiRequests, draining: true };
    expect(await inForce(again)).toEqual(kept);

    await servers.postgres.kill();
    try {
      for (const refused of [send(again, "PUT", "limits", limits(9)), send(other, "POST", "resume")]) {
        expect((await refused).json).toMatchObject({ status: 503 });
      }
      expect([await inForce(again), await inForce(other)]).toEqual([kept, kept]);
    } finally {
      await servers.postgres.start();
    }
    await vi.waitFor(async () => expect((await send(again, "POST", "resume")).status).toBe(200), SOON);
    await vi.waitFor(async () => expect(await inForce(other)).toEqual({ apiRequests, draining: false }), SOON);
    expect((await call(again.admin, "/api/changes")).json).toMatchObject({
      changes: [
        { setting: "drained", after: null },
        { setting: "drained", after: true },
        { setting: "limits", before: { apiRequests: 2 }, after: { apiRequests } },
        { setting: "limits", before: { apiRequests: 100 }, after: { apiRequests: 2 } },
      ],
    });
  }, 60_000);
});

describe("two proxies on a cluster that demands a password", () => {
  it("share their counts, told of one node", async () => {
    const cluster = await startRedisCluster({ config: { requirepass: "s:e/s@me", masterauth: "s:e/s@me" } });
    onTestFinished(() => cluster.stop());
    const { config, upstream } = await share(servers);
    const counter = { kind: "redis", cluster: [cluster.nodes[0]?.url ?? ""], prefix: "usage" } as const;
    const backends = ["oci", "b2", "r2", "s3"].map((name) => ({ name, url: upstream.url, limits: { apiRequests: 1 } }));
    const [one, other] = [
      await startApp({ ...config, counter, backends }),
      await startApp({ ...config, counter, backends }),
    ];
    for (const _ of backends) expect((await call(one.proxy, "/objects/1")).status).toBe(200);
    await vi.waitFor(async () => {
      const { counter, backends } = await report(other.admin);
      expect(counter.healthy).toBe(true);
      expect(backends.map(({ withinLimits }) => withinLimits)).toEqual([false, false, false, false]);
    }, SOON);
    expect((await call(other.proxy, "/objects/1")).status).toBe(429);

    const url = cluster.nodes[0]?.url ?? "";
    await expect(compose({ ...config, counter: { kind: "redis", url, prefix: "usage" } })).rejects.toThrow(
      "cannot be used: it is part of a cluster; give counter.cluster instead of counter.url",
    );
  });
});

describe("a proxy that starts", () => {
  it("knows what others have shared before it listens", async () => {
    const { config } = await share(servers, { apiRequests: 2 });
    const one = await startApp(config);
    for (let i = 0; i < 2; i++) await call(one.proxy, "/objects/1");
    await vi.waitFor(async () => expect((await report(one.admin)).backend.unpushed).toEqual(NOTHING), SOON);
    const other = await startApp(config);
    expect((await call(other.proxy, "/objects/1")).status).toBe(429);
  });

  it("brings what the database holds to a Redis that knows nothing of it", async () => {
    const { config, inRedis } = await share(servers, { apiRequests: 2 });
    const one = await startApp(config);
    for (let i = 0; i < 2; i++) await call(one.proxy, "/objects/1");
    await one.app.stop({ graceMs: 0 });
    await servers.redis.command("FLUSHALL");
    const other = await startApp(config);
    expect((await call(other.proxy, "/objects/1")).status).toBe(429);
    expect((await report(other.admin)).backend).toMatchObject({ usage: { apiRequests: 2 }, unstored: NOTHING });
    expect(await inRedis()).toEqual({ apiRequests: 2, egressBytes: 2 });
  });

  it("takes over no backend whose usage only Redis could tell, while the database is away", async () => {
    const { config, upstream } = await share(servers);
    const memory = memoryStore();
    let isAway = false;
    const whileThere = <T>(read: () => Promise<T>) => (isAway ? Promise.reject(new Error("away")) : read());
    const store: UsageStore = {
      ...memory,
      totals: (...query) => whileThere(() => memory.totals(...query)),
      tallies: (...query) => whileThere(() => memory.tallies(...query)),
    };
    const { app, proxy } = await startApp(config, { store });
    // Stored, and not in Redis, as after it was wiped.
    const { key: period } = app.tracker.counter.period();
    await memory.merge([{ writer: "before", period, backend: "late", usage: { apiRequests: 5 } }]);
    const late = { name: "late", url: upstream.url, limits: { apiRequests: 5 } };
    isAway = true;
    for (const _ of [1, 2]) {
      await expect(app.live.take(async () => ({ ...config, backends: [late] }))).rejects.toThrow(/the store .*: away$/);
    }
    expect((await call(proxy, "/objects/1")).status).toBe(200);
    isAway = false;
    await app.live.take(async () => ({ ...config, backends: [late] }));
    expect((await call(proxy, "/objects/1")).status).toBe(429);
  });

  it("refuses a Redis that cannot be reached or does not let it in, without telling a password", async () => {
    const locked = await startRedis({ config: { requirepass: "sesame" } });
    onTestFinished(() => locked.stop());
    const start = (login: string, port = locked.port) => {
      const url = `redis://${login}127.0.0.1:${port}/0`;
      return compose(testConfig([], { counter: { kind: "redis", url, prefix: "usage" } }));
    };
    // An address of a server that speaks no TLS, and one of nobody's.
    const named = (url: string) => compose(testConfig([], { counter: { kind: "redis", url, prefix: "usage" } }));
    await expect(named(`rediss://127.0.0.1:${locked.port}`)).rejects.toThrow("whether it speaks TLS at all");
    await expect(named("redis://nowhere.invalid")).rejects.toThrow(/(ENOTFOUND|EAI_AGAIN).*: the host name of its url/);
    const failures = [start("someone:hunter2@", 1), start(""), start(":hunter2@"), start("someone:hunter2@")];
    const place = `CounterStartError: the counter (Redis 127.0.0.1:${locked.port}/0) cannot be used:`;
    expect(await Promise.all(failures.map((failure) => failure.catch(String)))).toEqual([
      "CounterStartError: the counter (Redis 127.0.0.1:1/0) cannot be used: connect ECONNREFUSED 127.0.0.1:1: " +
        "it refuses connections; is it running, and is the port of its url right?",
      `${place} it demands a password; write redis://user:password@host, or redis://:password@host without a user`,
      `${place} it refuses the user or password; see those of counter, in its url or beside it`,
      `${place} it refuses the user or password; see those of counter, in its url or beside it`,
    ]);
    const app = await start(":sesame@");
    await app.stop({ graceMs: 0 });
  });

  it("leaves no connection to Redis open when its store cannot be used", async () => {
    const { config } = await share(servers);
    const before = await connections(servers.redis);
    const store = { kind: "postgres", url: "postgres://u:hunter2@127.0.0.1:1/usage" } as const;
    await expect(compose({ ...config, store })).rejects.toMatchObject({ code: "USAGE_PROXY_STORE" });
    await vi.waitFor(async () => expect(await connections(servers.redis)).toBe(before), SOON);
  });
});
