import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { call } from "../support/call.ts";
import { scrape } from "../support/metrics.ts";

const NAME = "a/b ü{x}";
const ENCODED = encodeURIComponent(NAME);

async function start(changes: Partial<ProxyConfig> = {}) {
  const [first, second] = [await startUpstream(), await startUpstream()];
  const backends = [
    { name: NAME, url: first.url, limits: { apiRequests: 3, egressBytes: 1_000 } },
    { name: "b2", url: second.url, limits: {} },
  ];
  const config = testConfig(backends, changes);
  return { ...(await startApp(config)), config, first, second };
}

/** The path of the proxy's SQLite file. */
function fileOf({ store }: ProxyConfig): string {
  return store.kind === "sqlite" ? store.file : "";
}

describe("GET /api/usage", () => {
  it("answers period, counter, store, and each backend's usage, unstored usage and limits", async () => {
    const { app, proxy, admin, first, second } = await start();
    await call(proxy, "/objects/400");
    await app.flusher.flush();
    await call(proxy, "/objects/100", { method: "PUT", body: "x".repeat(100) });
    const { start: from, end, key } = app.tracker.counter.period();

    const { status, headers, json } = await call(admin, "/api/usage");
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("application/json");
    const put = first.measured().egressBytes - 400;
    const unchanged = { from: "file", revision: 0, by: null, at: null };
    const settings = (limits: object) => ({
      limits: { ...unchanged, value: limits },
      thresholds: { ...unchanged, value: [0.5, 0.8, 1] },
      drained: { ...unchanged, value: false },
    });
    expect(json).toEqual({
      period: { key, start: new Date(from).toISOString(), end: new Date(end).toISOString() },
      counter: {
        kind: "local",
        enforcement: "approximate",
        healthy: true,
        sharedAt: null,
        sharedAgeMs: null,
        lastError: null,
      },
      store: { kind: "sqlite", lastFlush: expect.stringMatching(/^\d{4}-.*Z$/), lastError: null },
      config: { loadedAt: expect.stringMatching(/^\d{4}-.*Z$/), error: null, complaints: [], needRestart: [] },
      refusals: { lastMinute: 0, thisPeriod: 0, since: expect.stringMatching(/^\d{4}-.*Z$/), causes: [] },
      backends: [
        {
          name: NAME,
          url: first.url.href,
          draining: false,
          reachable: true,
          trouble: null,
          withinLimits: true,
          problem: null,
          held: { apiRequests: 0, egressBytes: 0, ingressBytes: 0 },
          excess: { apiRequests: 0, egressBytes: 0, ingressBytes: 0 },
          delayedByReservations: false,
          usage: { apiRequests: 2, egressBytes: 400 + put, ingressBytes: 100 },
          unstored: { apiRequests: 1, egressBytes: put, ingressBytes: 100 },
          unpushed: { apiRequests: 0, egressBytes: 0, ingressBytes: 0 },
          limits: { apiRequests: 3, egressBytes: 1_000 },
          granted: {},
          passedBy: { lastMinute: 0, thisPeriod: 0 },
          broken: { lastMinute: 0, thisPeriod: 0 },
          brokenBy: null,
          settings: settings({ apiRequests: 3, egressBytes: 1_000 }),
        },
        {
          name: "b2",
          url: second.url.href,
          draining: false,
          reachable: true,
          trouble: null,
          withinLimits: true,
          problem: null,
          held: { apiRequests: 0, egressBytes: 0, ingressBytes: 0 },
          excess: { apiRequests: 0, egressBytes: 0, ingressBytes: 0 },
          delayedByReservations: false,
          usage: { apiRequests: 0, egressBytes: 0, ingressBytes: 0 },
          unstored: { apiRequests: 0, egressBytes: 0, ingressBytes: 0 },
          unpushed: { apiRequests: 0, egressBytes: 0, ingressBytes: 0 },
          limits: {},
          granted: {},
          passedBy: { lastMinute: 0, thisPeriod: 0 },
          broken: { lastMinute: 0, thisPeriod: 0 },
          brokenBy: null,
          settings: settings({}),
        },
      ],
    });
  });

  it("shows a backend that has used a limit up, or cannot be reached", async () => {
    const { proxy, admin, first, second } = await start();
    await call(proxy, "/objects/1000");
    await second.close();
    expect((await call(proxy, "/objects/1")).status).toBeGreaterThanOrEqual(500);
    const { json } = await call(admin, "/api/usage");
    expect(json).toMatchObject({
      backends: [
        { withinLimits: false, reachable: true },
        { reachable: false, trouble: { code: "ECONNREFUSED", since: expect.stringMatching(/Z$/) } },
      ],
    });
    expect((await scrape(admin)).value("usage_backend_trouble", { backend: "b2", code: "ECONNREFUSED" })).toBe(1);
    expect(first.measured().apiRequests).toBe(1);
  });
});

describe("a limit whose room is reserved by a running request", () => {
  it("is shown so in the report and the metrics, and is not used up", async () => {
    const { app, proxy, admin } = await start();
    const hold = app.tracker.tryReserve(NAME, { egressBytes: 1_000 });
    await call(proxy, "/objects/1");
    const { json } = await call(admin, "/api/usage");
    expect(json).toMatchObject({
      backends: [
        { withinLimits: true, delayedByReservations: true, held: { egressBytes: 1_000 } },
        { delayedByReservations: false },
      ],
    });
    const { value } = await scrape(admin);
    const rejections = (dimension: string) => value("usage_reservation_rejections_total", { backend: NAME, dimension });
    expect([rejections("egressBytes"), rejections("apiRequests")]).toEqual([1, 0]);
    hold?.void();
  });
});

describe("POST /api/flush", () => {
  it("stores what is counted at once", async () => {
    const { proxy, admin, config } = await start();
    await call(proxy, "/objects/10");
    const { status, json } = await call(admin, "/api/flush", { method: "POST" });
    expect(status).toBe(200);
    expect(json).toEqual({ lastFlush: expect.stringMatching(/^\d{4}-.*Z$/) });
    const database = new Database(fileOf(config), { readonly: true });
    expect(database.prepare("select dimension, amount from usage_totals order by dimension").all()).toEqual([
      { dimension: "apiRequests", amount: 1 },
      { dimension: "egressBytes", amount: 10 },
    ]);
    database.close();
  });

  it("answers 503 while the store fails, keeps the counts, and stores them once it works again", async () => {
    const { proxy, admin, config } = await start();
    await call(proxy, "/objects/10");
    const database = new Database(fileOf(config));
    database.exec("alter table usage_tallies rename to away");
    const failed = await call(admin, "/api/flush", { method: "POST" });
    expect(failed).toMatchObject({
      status: 503,
      headers: { "content-type": "application/problem+json" },
      json: {
        type: "about:blank",
        title: "The store failed",
        status: 503,
        detail: expect.stringContaining("usage_tallies"),
      },
    });
    const { json } = await call(admin, "/api/usage");
    expect(json).toMatchObject({
      store: { lastFlush: null, lastError: expect.stringContaining("usage_tallies") },
      backends: [{ unstored: { apiRequests: 1, egressBytes: 10 } }, {}],
    });
    expect((await call(admin, "/api/history")).status).toBe(503);

    database.exec("alter table away rename to usage_tallies");
    database.close();
    expect((await call(admin, "/api/flush", { method: "POST" })).status).toBe(200);
    const { json: after } = await call(admin, "/api/usage");
    expect(after).toMatchObject({ store: { lastError: null }, backends: [{ unstored: { apiRequests: 0 } }, {}] });
  });
});

describe("GET /api/history", () => {
  it("answers usage by period and backend, as far as the query wants it", async () => {
    const { app, admin } = await start();
    const tally = { writer: "import", backend: "old", usage: { apiRequests: 7 } };
    await app.store.merge([
      { ...tally, period: "2020-01" },
      { ...tally, period: "2020-02" },
      { ...tally, period: "2020-02", backend: NAME },
    ]);
    const history = async (query: string): Promise<unknown> => (await call(admin, `/api/history${query}`)).json;
    const [january, february, ours] = [
      { period: "2020-01", backend: "old", usage: { apiRequests: 7 } },
      { period: "2020-02", backend: "old", usage: { apiRequests: 7 } },
      { period: "2020-02", backend: NAME, usage: { apiRequests: 7 } },
    ];
    expect(await history("")).toEqual({ history: [january, ours, february] });
    expect(await history("?backend=old&from=&to=")).toEqual({ history: [january, february] });
    expect(await history(`?backend=${ENCODED}`)).toEqual({ history: [ours] });
    expect(await history("?from=2020-02")).toEqual({ history: [ours, february] });
    expect(await history("?from=2020-01&to=2020-01")).toEqual({ history: [january] });
    expect(await history("?backend=nobody")).toMatchObject({ status: 404 });
  });

  it.each([
    "?x=1",
    "?from=2020",
    "?to=yesterday",
    "?from=2020-02&to=2020-01",
    "?from=2020-01&from=2020-02",
    "?backend=%00",
  ])("refuses %s with 400", async (query) => {
    const { admin } = await start();
    const reply = await call(admin, `/api/history${query}`);
    expect(reply).toMatchObject({ status: 400, headers: { "content-type": "application/problem+json" } });
  });
});

describe("POST /api/backends/:name/drain", () => {
  it("gives the backend no new requests, and keeps what is counted; again changes nothing", async () => {
    const { proxy, admin, first, second } = await start();
    await call(proxy, "/objects/10");
    for (const _ of ["once", "again"]) {
      const { status, json } = await call(admin, `/api/backends/${ENCODED}/drain`, { method: "POST" });
      expect({ status, json }).toMatchObject({
        status: 200,
        json: { name: NAME, revision: 1, draining: true, inFlight: 0 },
      });
    }
    expect((await call(proxy, "/objects/10")).status).toBe(200);
    expect([first.measured().apiRequests, second.measured().apiRequests]).toEqual([1, 1]);
    const { json } = await call(admin, "/api/usage");
    expect(json).toMatchObject({ backends: [{ draining: true, usage: { apiRequests: 1 } }, { draining: false }] });
  });

  it.each(["drain", "resume"])("answers 404 for a name that no backend has, as %s does", async (action) => {
    const { admin } = await start();
    for (const name of ["nobody", "__proto__", "constructor", "..", "%2e%2e", ""]) {
      const reply = await call(admin, `/api/backends/${name}/${action}`, { method: "POST" });
      expect(reply).toMatchObject({ status: 404, json: { status: 404 } });
    }
  });
});

describe("POST /api/backends/:name/resume", () => {
  it("gives a drained backend requests again, whose limits and counts are what they were; again changes nothing", async () => {
    const { proxy, admin, first, second } = await start();
    await call(proxy, "/objects/10");
    await call(admin, `/api/backends/${ENCODED}/drain`, { method: "POST" });
    await call(proxy, "/objects/10");
    for (const _ of ["once", "again"]) {
      const { status, json } = await call(admin, `/api/backends/${ENCODED}/resume`, { method: "POST" });
      expect({ status, json }).toMatchObject({
        status: 200,
        json: { name: NAME, revision: 2, draining: false, inFlight: 0 },
      });
    }
    for (const _ of ["second", "third", "over the limit"]) await call(proxy, "/objects/10");
    expect([first.measured().apiRequests, second.measured().apiRequests]).toEqual([3, 2]);
  });

  it("refuses one that is gone from the configuration, and says how it comes back", async () => {
    const { app, admin, config } = await start();
    await app.live.take(async () => ({ ...config, backends: config.backends.slice(1) }));
    const reply = await call(admin, `/api/backends/${ENCODED}/resume`, { method: "POST" });
    expect(reply).toMatchObject({ status: 409, json: { detail: expect.stringContaining("add it there") } });
    expect(app.router.upstreams.find(({ name }) => name === NAME)?.draining).toBe(true);
  });
});

describe("every path", () => {
  it("is answered 404 when it is unknown, 405 with Allow for another method, 400 when it is not valid", async () => {
    const { admin } = await start();
    const status = async (path: string, method = "GET") => (await call(admin, path, { method })).status;
    expect(await status("/nowhere")).toBe(404);
    expect(await status("/api/usage/")).toBe(404);
    expect(await status("http://127.0.0.1/api/usage")).toBe(404);
    expect(await status("/api/%zz/x")).toBe(400);
    expect(await call(admin, "/api/usage", { method: "POST" })).toMatchObject({
      status: 405,
      headers: { allow: "GET, HEAD" },
    });
    expect(await call(admin, "/api/flush")).toMatchObject({ status: 405, headers: { allow: "POST" } });
    expect(await call(admin, "/healthz", { method: "DELETE" })).toMatchObject({
      status: 405,
      headers: { allow: "GET, HEAD" },
    });
  });

  it("answers HEAD like GET, without a body", async () => {
    const { admin } = await start();
    const reply = await call(admin, "/api/usage", { method: "HEAD" });
    expect(reply).toMatchObject({ status: 200, text: "" });
    expect(Number(reply.headers["content-length"])).toBeGreaterThan(100);
  });

  it("is answered with headers that keep browsers and caches from doing anything with it", async () => {
    const { admin } = await start();
    for (const path of ["/api/usage", "/healthz", "/nowhere"]) {
      expect((await call(admin, path)).headers).toMatchObject({
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
      });
    }
  });

  it("is closed to a name that somebody else made point here", async () => {
    const { admin } = await start();
    const status = async (host: string) => (await call(admin, "/api/usage", { headers: { host } })).status;
    for (const host of [
      "127.0.0.1",
      "localhost:8081",
      "LOCALHOST",
      "[::1]:8081",
      "127.9.9.9",
      `127.0.0.1:${admin.port}`,
    ]) {
      expect([host, await status(host)]).toEqual([host, 200]);
    }
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8081", "10.0.0.1", "a b"]) {
      expect([host, await status(host)]).toEqual([host, 403]);
    }
  });

  it("changes nothing for a page of another site", async () => {
    const { admin } = await start();
    const flush = async (headers: Record<string, string>) =>
      (await call(admin, "/api/flush", { method: "POST", headers })).status;
    const host = `127.0.0.1:${admin.port}`;
    expect(await flush({ origin: `http://${host}`, "sec-fetch-site": "same-origin" })).toBe(200);
    expect(await flush({ "sec-fetch-site": "none" })).toBe(200);
    expect(await flush({ origin: "http://evil.example" })).toBe(403);
    expect(await flush({ origin: "http://127.0.0.1:1" })).toBe(403);
    expect(await flush({ origin: "null" })).toBe(403);
    expect(await flush({ "sec-fetch-site": "cross-site" })).toBe(403);
    expect(await flush({ "sec-fetch-site": "same-site" })).toBe(403);
  });
});

describe("where another server shows it", () => {
  const urls = ["https://ops.example.com/usage/", "http://10.1.2.3:8443/"];
  const admin = { listen: { host: "127.0.0.1", port: 0 }, urls };

  it("the hosts of these addresses are let in, too, with or without their ports, and no others", async () => {
    const { admin: bound } = await start({ admin });
    const status = async (host: string) => (await call(bound, "/api/usage", { headers: { host } })).status;
    for (const host of ["ops.example.com", "OPS.example.com:443", "10.1.2.3:8443", "10.1.2.3", "127.0.0.1"]) {
      expect([host, await status(host)]).toEqual([host, 200]);
    }
    for (const host of [
      "evil.example",
      "example.com",
      "x.ops.example.com",
      "10.1.2.4",
      "https://ops.example.com/usage/",
    ]) {
      expect([host, await status(host)]).toEqual([host, 403]);
    }
    const headers = { host: "evil.example", "x-forwarded-host": "ops.example.com" };
    expect((await call(bound, "/api/usage", { headers })).status).toBe(403);
  });

  it("pages of these origins change things, whatever Host comes along, and those of their neighbours do not", async () => {
    const { admin: bound } = await start({ admin });
    const flush = async (origin: string, host: string) =>
      (await call(bound, "/usage/api/flush", { method: "POST", headers: { origin, host } })).status;
    const own = `127.0.0.1:${bound.port}`;
    for (const host of ["ops.example.com", own, "localhost"]) {
      expect([host, await flush("https://ops.example.com", host)]).toEqual([host, 200]);
    }
    expect(await flush("http://10.1.2.3:8443", own)).toBe(200);
    // Used directly, as before.
    expect(await flush(`http://${own}`, own)).toBe(200);
    for (const origin of ["http://ops.example.com", "https://ops.example.com:8443", "http://10.1.2.3", "null"]) {
      expect([origin, await flush(origin, "ops.example.com")]).toEqual([origin, 403]);
      expect([origin, await flush(origin, own)]).toEqual([origin, 403]);
    }
  });

  it("their paths are taken off where they were left on, and lead to the slash at the end", async () => {
    const { admin: bound } = await start({ admin });
    const status = async (path: string) => (await call(bound, path)).status;
    for (const path of ["/usage/", "/usage/?x", "/usage/dashboard/base.css", "/usage/api/usage", "/usage/healthz"]) {
      expect([path, await status(path)]).toEqual([path, 200]);
    }
    for (const path of [
      "/usage/nowhere",
      "/usage//",
      "/usages/",
      "/x/usage/",
      "/usage/usage/",
      "/usage/../api/usage",
    ]) {
      expect([path, await status(path)]).toEqual([path, 404]);
    }
    const bare = await call(bound, "/usage");
    expect(bare).toMatchObject({ status: 308, headers: { location: "usage/" } });
  });

  it("the token is demanded below their paths as well", async () => {
    const { admin: bound } = await start({ admin: { ...admin, token: "s3cret" } });
    const status = async (path: string) => (await call(bound, path)).status;
    expect([await status("/usage/"), await status("/usage/dashboard/base.css")]).toEqual([200, 200]);
    for (const path of ["/usage/api/usage", "/usage/metrics", "/usage/dashboard/", "/usage/nowhere"]) {
      expect([path, await status(path)]).toEqual([path, 401]);
    }
  });
});

describe("with a token", () => {
  const admin = { listen: { host: "0.0.0.0", port: 0 }, token: "s3cret" };

  it("every API path demands it, and health does not", async () => {
    const { admin: bound } = await start({ admin });
    const address = { host: "127.0.0.1", port: bound.port };
    const get = (path: string, authorization?: string) =>
      call(address, path, { headers: authorization === undefined ? {} : { authorization } });
    expect((await get("/api/usage", "Bearer s3cret")).status).toBe(200);
    expect((await get("/api/usage", "bearer s3cret")).status).toBe(200);
    for (const authorization of [undefined, "", "Bearer", "Bearer s3cre", "Bearer s3crets", "Basic s3cret", "s3cret"]) {
      const reply = await get("/api/usage", authorization);
      expect(reply).toMatchObject({ status: 401, headers: { "www-authenticate": "Bearer" }, json: { status: 401 } });
      expect(reply.text).not.toContain("s3cret");
    }
    const hidden = [
      "/api",
      "/api/nowhere",
      "/api?x",
      "/api/history?from=x",
      "/%61pi/usage",
      "/a%70i/usage",
      "/nowhere",
    ];
    for (const path of hidden) expect([path, (await get(path)).status]).toEqual([path, 401]);
    expect((await call(address, "/%61pi/backends/oci/drain", { method: "POST" })).status).toBe(401);
    expect((await get("/healthz")).status).toBe(200);
    expect((await get("/readyz")).status).toBe(200);
  });

  it("a request may name any host beyond loopback", async () => {
    const { admin: bound } = await start({ admin });
    const headers = { host: "proxy.example", authorization: "Bearer s3cret" };
    expect((await call({ host: "127.0.0.1", port: bound.port }, "/api/usage", { headers })).status).toBe(200);
  });
});
