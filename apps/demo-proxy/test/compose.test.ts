import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { LocalCounterBackend, type UsageStore } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { FlushError } from "@usage/tracker";
import Database from "better-sqlite3";
import { describe, expect, it, onTestFinished } from "vitest";
import { compose } from "../src/compose.ts";
import type { StoreConfig } from "../src/config/proxy-config.ts";
import { formatUsage, unstoredUsage } from "../src/log/unstored.ts";
import { startApp, startUpstream, testConfig } from "./support/app.ts";
import { call } from "./support/call.ts";
import { FakeClock } from "./support/fake-clock.ts";
import { startHeldUpstream } from "./support/held-upstream.ts";
import { tempFolder } from "./support/temp-folder.ts";

function sqlite(): StoreConfig & { kind: "sqlite" } {
  return { kind: "sqlite", file: join(tempFolder(), "usage.db") };
}

describe("before it listens, the proxy", () => {
  it("knows what the store holds, so that a limit that is used up stays closed", async () => {
    const upstream = await startUpstream();
    const store = sqlite();
    const config = testConfig([{ name: "oci", url: upstream.url, limits: { apiRequests: 2 } }], { store });
    const first = await startApp(config);
    await call(first.proxy, "/objects/1");
    await call(first.proxy, "/objects/1");
    await first.app.stop({ graceMs: 0 });

    const second = await startApp(config);
    expect((await call(second.proxy, "/objects/1")).status).toBe(429);
    expect(upstream.measured().apiRequests).toBe(2);
  });

  it("refuses to start on a store that cannot be opened, and says which", async () => {
    const file = join(tempFolder(), "nowhere", "usage.db");
    const failure = compose(testConfig([], { store: { kind: "sqlite", file } }));
    await expect(failure).rejects.toMatchObject({ code: "USAGE_PROXY_STORE", message: expect.stringContaining(file) });
  });

  it("refuses to start on a database that cannot be reached, without telling its password", async () => {
    const store = { kind: "postgres", url: "postgres://someone:hunter2@127.0.0.1:1/usage" } as const;
    const failure = await compose(testConfig([], { store })).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "USAGE_PROXY_STORE", store: "Postgres 127.0.0.1:1/usage" });
    expect(String(failure)).not.toContain("hunter2");
    expect(String(failure)).not.toContain("someone");
  });

  it("refuses to start on a store that can be opened and not be read", async () => {
    const store = await openSqliteStore(sqlite().file);
    await store.close();
    await expect(compose(testConfig([]), { store })).rejects.toMatchObject({ code: "USAGE_PROXY_STORE" });
  });
});

describe("start", () => {
  it("says that a port is taken, and leaves nothing open", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    onTestFinished(() => void taken.close());
    const address = taken.address();
    const listen = { host: "127.0.0.1", port: typeof address === "object" && address !== null ? address.port : 0 };
    const upstream = await startUpstream();
    const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }], { listen });
    const app = await compose(config);
    await expect(app.start()).rejects.toMatchObject({
      code: "USAGE_PROXY_LISTEN",
      message: `the proxy cannot listen on 127.0.0.1:${listen.port}: another process does; stop it, or configure another port`,
    });
    expect(app.readiness.ready).toBe(false);
    await expect(app.store.history({})).rejects.toThrow();
  });

  it.each([
    ["203.0.113.7", "this machine has no such address; configure one that it has, or 127.0.0.1"],
    [
      "nowhere.invalid",
      expect.stringMatching(/: its host name has no address \((ENOTFOUND|EAI_AGAIN)\); check the spelling/),
    ],
  ])("says what to do when it cannot listen on %s", async (host, reason) => {
    const upstream = await startUpstream();
    const backends = [{ name: "oci", url: upstream.url, limits: {} }];
    const app = await compose(testConfig(backends, { listen: { host, port: 8_080 } }));
    const message = typeof reason === "string" ? `the proxy cannot listen on ${host}:8080: ${reason}` : reason;
    await expect(app.start()).rejects.toMatchObject({ code: "USAGE_PROXY_LISTEN", message });
  });

  it("says that the store does not tell what was used, and which setting waits for it", async () => {
    const config = testConfig([{ name: "oci", url: new URL("http://127.0.0.1:9"), limits: {} }]);
    await using real = await openSqliteStore(":memory:");
    const store: UsageStore = Object.create(real, { totals: { value: () => new Promise(() => {}) } });
    await expect(compose({ ...config, flush: { ...config.flush, timeoutMs: 50 } }, { store })).rejects.toMatchObject({
      code: "USAGE_PROXY_STORE",
      message: expect.stringMatching(/could not be read within 50 ms; .* raise flush\.timeoutMs$/),
    });
  });

  it("that is overtaken by a stop leaves nothing open either", async () => {
    const upstream = await startUpstream();
    const app = await compose(testConfig([{ name: "oci", url: upstream.url, limits: {} }]));
    const starting = app.start();
    await app.stop({ graceMs: 0 });
    const { proxy, admin } = await starting;
    expect(app.readiness.ready).toBe(false);
    await expect(call(proxy, "/")).rejects.toThrow(/ECONNREFUSED/);
    await expect(call(admin, "/healthz")).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe("stop", () => {
  it("lets running requests end, stores everything, and tells load balancers meanwhile", async () => {
    const upstream = await startHeldUpstream();
    const store = sqlite();
    const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }], { store });
    const { app, proxy, admin } = await startApp(config);
    expect((await call(admin, "/readyz")).status).toBe(200);
    const running = call(proxy, "/");
    const response = await upstream.next();
    const stopped = app.stop({ graceMs: 20_000 });
    expect(await call(admin, "/readyz")).toMatchObject({ status: 503, json: { title: "Not ready" } });
    expect((await call(admin, "/healthz")).status).toBe(200);
    await expect(call(proxy, "/")).rejects.toThrow("ECONNREFUSED");
    response.end("hello");

    expect((await running).text).toBe("hello");
    expect(await stopped).toEqual({ cut: 0 });
    expect(await app.stop({ graceMs: 0 })).toEqual({ cut: 0 });
    await expect(call(admin, "/healthz")).rejects.toThrow("ECONNREFUSED");
    const database = new Database(store.file, { readonly: true });
    expect(database.prepare("select sum(amount) from usage_totals").pluck().get()).toBe(1 + "hello".length);
    database.close();
  });

  it("cuts what runs longer than the grace, and stores what was counted of it", async () => {
    const upstream = await startHeldUpstream();
    const store = sqlite();
    const { app, proxy } = await startApp(testConfig([{ name: "oci", url: upstream.url, limits: {} }], { store }));
    const running = expect(call(proxy, "/")).rejects.toThrow();
    await upstream.next();
    expect(await app.stop({ graceMs: 1 })).toEqual({ cut: 1 });
    await running;
    const reopened = await openSqliteStore(store.file);
    expect(await reopened.history({})).toMatchObject([{ backend: "oci", usage: { apiRequests: 1 } }]);
    await reopened.close();
  });

  it("answers what is not stored when the last flush fails", async () => {
    const upstream = await startUpstream();
    const store = sqlite();
    const { app, proxy } = await startApp(testConfig([{ name: "oci", url: upstream.url, limits: {} }], { store }));
    await call(proxy, "/objects/10");
    await app.flusher.flush();
    await call(proxy, "/objects/5");
    const database = new Database(store.file);
    database.exec("drop view usage_totals; drop table usage_tallies");
    database.close();

    const { cut, flushError } = await app.stop({ graceMs: 0 });
    expect(cut).toBe(0);
    expect(flushError).toBeInstanceOf(FlushError);
    const unstored = flushError instanceof FlushError ? flushError.unstored : [];
    const { key } = app.tracker.counter.period();
    expect(unstoredUsage(unstored, app.tracker.counter).map(formatUsage)).toEqual([
      `${key} "oci": apiRequests 1, egressBytes 5, ingressBytes 0`,
    ]);
  });

  it("leaves a store open that was handed in", async () => {
    const store = await openSqliteStore(sqlite().file);
    const { app } = await startApp(testConfig([]), { store });
    await app.stop({ graceMs: 0 });
    expect(await store.history({})).toEqual([]);
    await store.close();
  });
});

describe("two proxies on one SQLite file", () => {
  it("see each other's usage after a flush", async () => {
    const upstream = await startUpstream();
    const config = testConfig([{ name: "oci", url: upstream.url, limits: { apiRequests: 3 } }]);
    const [one, other] = [await startApp(config), await startApp(config)];
    await call(one.proxy, "/objects/1");
    await call(one.proxy, "/objects/1");
    await call(other.proxy, "/objects/1");
    await call(one.admin, "/api/flush", { method: "POST" });
    await call(other.admin, "/api/flush", { method: "POST" });
    expect((await call(other.proxy, "/objects/1")).status).toBe(429);
    await call(one.admin, "/api/flush", { method: "POST" });
    expect((await call(one.proxy, "/objects/1")).status).toBe(429);
    expect(upstream.measured().apiRequests).toBe(3);
  });
});

describe("at midnight of the last day of a month", () => {
  it("usage lands in the month in which it was counted, and limits open again", async () => {
    const upstream = await startUpstream();
    const clock = new FakeClock(Date.UTC(2026, 0, 31, 23, 59, 59));
    const config = testConfig([{ name: "oci", url: upstream.url, limits: { apiRequests: 2 } }]);
    const { app, proxy, admin } = await startApp(config, { clock });
    await call(proxy, "/objects/7");
    await call(proxy, "/objects/7");
    expect((await call(proxy, "/objects/7")).status).toBe(429);
    clock.advance(1_000);
    expect((await call(proxy, "/objects/7")).status).toBe(200);
    expect((await call(admin, "/api/usage")).json).toMatchObject({
      period: { key: "2026-02", start: "2026-02-01T00:00:00.000Z", end: "2026-03-01T00:00:00.000Z" },
      backends: [{ usage: { apiRequests: 1, egressBytes: 7 } }],
    });
    await app.flusher.flush();
    expect((await call(admin, "/api/history")).json).toEqual({
      history: [
        { period: "2026-01", backend: "oci", usage: { apiRequests: 2, egressBytes: 14 } },
        { period: "2026-02", backend: "oci", usage: { apiRequests: 1, egressBytes: 7 } },
      ],
    });
  });
});

describe("an upstream that refuses connections", () => {
  it("is passed over without being counted, and gets requests again after 5 s", async () => {
    const [away, there] = [await startUpstream(), await startUpstream()];
    await away.close();
    const clock = new FakeClock(Date.UTC(2026, 0, 1));
    const backends = [
      { name: "oci", url: away.url, limits: {} },
      { name: "b2", url: there.url, limits: {} },
    ];
    const { proxy, admin } = await startApp(testConfig(backends), { clock });
    const states = async () => (await call(admin, "/api/usage")).json;
    expect((await call(proxy, "/objects/1")).status).toBe(200);
    expect(await states()).toMatchObject({
      backends: [
        { reachable: false, usage: { apiRequests: 0 } },
        { reachable: true, usage: { apiRequests: 1 } },
      ],
    });
    clock.advance(5_000);
    expect(await states()).toMatchObject({ backends: [{ reachable: true }, { reachable: true }] });
  });
});

describe("unstored usage", () => {
  it("is exact for the current period of a local counter, and the most that can be missing for closed ones", () => {
    const counter = new LocalCounterBackend(["oci"], { clock: new FakeClock(Date.UTC(2026, 1, 1)) });
    counter.addAll("oci", { apiRequests: 2 });
    const tally = { writer: "w", backend: "oci", usage: { apiRequests: 5 } };
    const unstored = [
      { ...tally, period: "2026-01" },
      { ...tally, period: "2026-01", writer: "w.1" },
      { ...tally, period: "2026-02" },
    ];
    expect(unstoredUsage(unstored, counter).map(formatUsage)).toEqual([
      '2026-01 "oci": apiRequests 10',
      '2026-02 "oci": apiRequests 2, egressBytes 0, ingressBytes 0',
    ]);
  });

  it("is never more than this instance counted, whatever others have not stored", () => {
    const counter = new LocalCounterBackend(["oci"], { clock: new FakeClock(Date.UTC(2026, 1, 1)) });
    counter.addAll("oci", { apiRequests: 9, egressBytes: 9 });
    const tally = { writer: "w", period: "2026-02", backend: "oci", usage: { apiRequests: 4 } };
    const again = { ...tally, writer: "w.1", usage: { apiRequests: 1 } };
    expect(unstoredUsage([tally, again], counter).map(formatUsage)).toEqual([
      '2026-02 "oci": apiRequests 5, egressBytes 0, ingressBytes 0',
    ]);
  });
});
