import { startPostgres, startRedis } from "@usage/test-servers";
import { FlushError } from "@usage/tracker";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { formatUsage, unstoredUsage } from "../src/log/unstored.ts";
import { startApp } from "./support/app.ts";
import { call } from "./support/call.ts";
import { FakeClock } from "./support/fake-clock.ts";
import { connections, report, type Servers, SOON, share } from "./support/shared-proxies.ts";

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

describe("a proxy that stops", () => {
  it("closes its listener, then flushes, then lets go of Redis and the database", async () => {
    const { config, upstream, name } = await share(servers);
    const [stopping, other] = [await startApp(config), await startApp(config)];
    const others = await connections(servers.redis);
    await call(stopping.proxy, "/objects/10");
    const lock = await lockTallies(servers.postgres.url);
    const stopped = stopping.app.stop({ graceMs: 0 });
    await expect(call(stopping.proxy, "/objects/10")).rejects.toThrow("ECONNREFUSED");
    // While the last flush waits for the database, counts are still shared, and operators see it.
    await call(other.proxy, "/objects/10");
    const usage = upstream.measured();
    await vi.waitFor(async () => expect((await report(stopping.admin)).backend.usage).toEqual(usage), SOON);
    expect(await connections(servers.redis)).toBe(others);

    await lock.release();
    expect(await stopped).toEqual({ cut: 0 });
    await expect(call(stopping.admin, "/healthz")).rejects.toThrow("ECONNREFUSED");
    expect(await other.app.store.history({ backend: name })).toMatchObject([{ usage: { apiRequests: 1 } }]);
    await vi.waitFor(async () => expect(await connections(servers.redis)).toBe(others - 1), SOON);
  });

  it("shares what it cannot store, says what that is, and whoever comes later stores it", async () => {
    const { config, upstream, name, inRedis } = await share(servers);
    // On a clock that stands, nothing is pushed but at the end.
    const { app, proxy, admin } = await startApp(config, { clock: new FakeClock(Date.now()) });
    for (let i = 0; i < 3; i++) await call(proxy, "/objects/10");
    const usage = upstream.measured();
    expect((await report(admin)).backend).toMatchObject({ usage, unpushed: usage });
    expect(await inRedis()).toEqual({});

    await servers.postgres.kill();
    const { flushError } = await app.stop({ graceMs: 0 });
    expect(flushError).toBeInstanceOf(FlushError);
    const unstored = flushError instanceof FlushError ? flushError.unstored : [];
    expect(unstoredUsage(unstored, app.tracker.counter).map(formatUsage)).toEqual([
      expect.stringContaining(`"${name}": apiRequests 3, egressBytes 30, ingressBytes 0`),
    ]);
    expect(await inRedis()).toEqual({ apiRequests: 3, egressBytes: 30 });

    await servers.postgres.start();
    const later = await startApp(config);
    expect((await report(later.admin)).backend).toMatchObject({ usage, unstored: usage });
    // The first flush notes what is owed; what still is at the second would not come by itself.
    for (let i = 0; i < 2; i++) await later.app.flusher.flush();
    expect(await later.app.store.history({ backend: name })).toMatchObject([
      { usage: { apiRequests: 3, egressBytes: 30 } },
    ]);
  });

  it("does not wait for a Redis that is away", async () => {
    const { config, upstream, name } = await share(servers);
    const { app, proxy, admin } = await startApp(config);
    servers.redis.pause();
    onTestFinished(() => servers.redis.resume());
    await vi.waitFor(async () => expect((await report(admin)).counter.healthy).toBe(false), SOON);
    await call(proxy, "/objects/10");
    const began = performance.now();
    expect(await app.stop({ graceMs: 0 })).toEqual({ cut: 0 });
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(upstream.measured().apiRequests).toBe(1);
    servers.redis.resume();
    const later = await startApp(config);
    expect(await later.app.store.history({ backend: name })).toMatchObject([{ usage: { apiRequests: 1 } }]);
  });
});

/** Holds up whoever writes tallies. */
async function lockTallies(url: string): Promise<{ release(): Promise<void> }> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end());
  const connection = await sql.reserve();
  await connection`begin`;
  await connection`lock table usage_tallies in exclusive mode`;
  return {
    async release() {
      await connection`commit`;
      connection.release();
    },
  };
}
