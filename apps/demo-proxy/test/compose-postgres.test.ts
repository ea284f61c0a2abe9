import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { type PostgresServer, startFaultProxy, startPostgres } from "@usage/test-servers";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { startApp, startUpstream, testConfig } from "./support/app.ts";
import { call } from "./support/call.ts";

describe("a proxy on Postgres", () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.stop());

  it("goes on while the database is down, stores everything once it is back, and continues after a restart", async () => {
    const upstream = await startUpstream();
    const backends = [{ name: "oci", url: upstream.url, limits: { apiRequests: 4 } }];
    const config = testConfig(backends, { store: { kind: "postgres", url: postgres.url } });
    const { app, proxy, admin } = await startApp(config);
    const get = async () => (await call(proxy, "/objects/10")).status;
    const flush = async () => (await call(admin, "/api/flush", { method: "POST" })).status;
    expect(await get()).toBe(200);
    expect(await flush()).toBe(200);

    await postgres.kill();
    expect(await get()).toBe(200);
    const failed = await call(admin, "/api/flush", { method: "POST" });
    expect(failed.status).toBe(503);
    const { password } = new URL(postgres.url);
    if (password !== "") expect(failed.text).not.toContain(password);
    expect((await call(admin, "/api/usage")).json).toMatchObject({
      store: { kind: "postgres", lastError: expect.stringMatching(/./) },
      backends: [{ usage: { apiRequests: 2 }, unstored: { apiRequests: 1, egressBytes: 10 } }],
    });

    await postgres.start();
    await vi.waitFor(async () => expect(await flush()).toBe(200), { timeout: 20_000, interval: 100 });
    const { key } = app.tracker.counter.period();
    expect((await call(admin, "/api/history")).json).toEqual({
      history: [{ period: key, backend: "oci", usage: { apiRequests: 2, egressBytes: 20 } }],
    });
    expect(await get()).toBe(200);
    expect(await app.stop({ graceMs: 1_000 })).toEqual({ cut: 0 });

    const again = await startApp(config);
    expect((await call(again.proxy, "/objects/10")).status).toBe(200);
    expect((await call(again.proxy, "/objects/10")).status).toBe(429);
  }, 60_000);

  it("stores all that it counted on the new primary at the second flush, while the old one is read-only", async () => {
    const next = await startPostgres();
    onTestFinished(() => next.stop());
    const name = await startFaultProxy({ port: Number(new URL(postgres.url).port) });
    onTestFinished(() => name.close());
    const upstream = await startUpstream();
    const backends = [{ name: "moved", url: upstream.url, limits: {} }];
    const { proxy, admin } = await startApp(
      testConfig(backends, { store: { kind: "postgres", url: name.url(postgres.url) } }),
    );
    const get = () => call(proxy, "/objects/10");
    const flush = async () => (await call(admin, "/api/flush", { method: "POST" })).status;
    await get();
    expect(await flush()).toBe(200);

    await using primary = await openPostgresStore(next.url);
    await using old = await openPostgresStore(postgres.url);
    await old.db.execute(sql`alter system set default_transaction_read_only = on`);
    await old.db.execute(sql`select pg_reload_conf()`);
    name.leadTo(Number(new URL(next.url).port));
    // The old server's sessions take notice of it in a moment.
    await vi.waitFor(
      async () => {
        await get();
        expect(await flush()).toBe(503);
      },
      { timeout: 20_000, interval: 20 },
    );
    await get();
    expect(await flush()).toBe(200);
    const { apiRequests, egressBytes } = upstream.measured();
    expect(await primary.history({})).toMatchObject([{ backend: "moved", usage: { apiRequests, egressBytes } }]);
  }, 60_000);
});
