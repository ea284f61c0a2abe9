import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import Database from "better-sqlite3";
import { describe, expect, it, vi } from "vitest";
import type { MadeGrant } from "../../../src/admin/api/grants/make-grant.ts";
import type { ProxyConfig } from "../../../src/config/proxy-config.ts";
import { startApp, startUpstream, testConfig } from "../../support/app.ts";
import { call } from "../../support/call.ts";
import { scrape } from "../../support/metrics.ts";

const NAME = "a/b ü{x}";
const PATH = `/api/backends/${encodeURIComponent(NAME)}/grants`;
const GRANT = { id: "ticket-4711", amounts: { apiRequests: 2 }, reason: "our outage", by: "ada@example.com" };

async function start(changes: Partial<ProxyConfig> = {}) {
  const upstream = await startUpstream();
  const backends = [
    { name: NAME, url: upstream.url, limits: { apiRequests: 3, egressBytes: 10_000 } },
    { name: "b2", url: upstream.url, limits: { apiRequests: 0 } },
  ];
  const made: MadeGrant[] = [];
  const config = testConfig(backends, changes);
  const started = await startApp(config, { onGrant: (grant) => made.push(grant) });
  const { admin, app } = started;
  const post = (body: unknown, path = PATH) =>
    call(admin, path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
  const list = async (query = "") => (await call(admin, `/api/grants${query}`)).json;
  return { ...started, config, made, post, list, period: app.tracker.counter.period().key };
}

/** The path of the proxy's SQLite file. */
function fileOf({ store }: ProxyConfig): string {
  return store.kind === "sqlite" ? store.file : "";
}

describe("POST /api/backends/:name/grants", () => {
  it("raises a limit that is used up until its period ends, once for each id, and says what it is then", async () => {
    const { app, proxy, admin, post, made, period } = await start();
    const get = async () => (await call(proxy, "/objects/1")).status;
    for (let n = 0; n < 3; n += 1) expect(await get()).toBe(200);
    expect(await get()).toBe(429);
    const first = await post(GRANT);
    const answer = {
      name: NAME,
      period,
      id: GRANT.id,
      amounts: { apiRequests: 2 },
      granted: { apiRequests: 2 },
      limits: { apiRequests: 5, egressBytes: 10_000 },
    };
    expect([first.status, first.json]).toEqual([201, answer]);
    // Whoever is in doubt sends it again.
    const second = await post({ ...GRANT, reason: "told in other words" });
    expect([second.status, second.json]).toEqual([200, answer]);
    expect([await get(), await get(), await get()]).toEqual([200, 200, 429]);
    expect(made).toEqual([{ ...GRANT, backend: NAME, period }]);
    expect((await call(admin, "/api/usage")).json).toMatchObject({
      backends: [
        { usage: { apiRequests: 5 }, limits: { apiRequests: 5, egressBytes: 10_000 }, granted: { apiRequests: 2 } },
        { limits: { apiRequests: 0 }, granted: {} },
      ],
    });
    const { value } = await scrape(admin);
    expect(value("usage_limit_api_requests", { backend: NAME })).toBe(5);
    expect(value("usage_granted_api_requests", { backend: NAME })).toBe(2);
    expect(value("usage_granted_egress_bytes", { backend: NAME })).toBe(0);
    expect(app.tracker.check(NAME, {}).granted).toEqual({ apiRequests: 2 });
  });

  it("takes sizes as the configuration does, and opens what has a limit of 0", async () => {
    const { proxy, post } = await start();
    const amounts = { egressBytes: "1.5 KiB", ingressBytes: 7 };
    const { status, json } = await post({ id: "1", amounts, reason: "r" });
    expect([status, json]).toMatchObject([
      201,
      // Nothing limits what goes in, so nothing is raised.
      { amounts: { egressBytes: 1_536, ingressBytes: 7 }, granted: { egressBytes: 1_536 } },
    ]);
    expect((await post({ id: "1", amounts: { apiRequests: 1 }, reason: "r" }, "/api/backends/b2/grants")).status).toBe(
      201,
    );
    const statuses = await Promise.all(Array.from({ length: 6 }, async () => (await call(proxy, "/objects/1")).status));
    expect(statuses.toSorted()).toEqual([200, 200, 200, 200, 429, 429]);
  });

  it("refuses other amounts under the same id, and says what is stored", async () => {
    const { app, post, list } = await start();
    await post(GRANT);
    const { status, json } = await post({ ...GRANT, amounts: { apiRequests: 3 } });
    expect([status, json]).toEqual([
      409,
      expect.objectContaining({ detail: expect.stringMatching(/ticket-4711.*"apiRequests":2.*another id/) }),
    ]);
    expect(app.tracker.check(NAME, {}).granted).toEqual({ apiRequests: 2 });
    expect(await list()).toMatchObject({ grants: [{ amounts: { apiRequests: 2 } }] });
  });

  it("grants nothing for another period than the one that is named", async () => {
    const { post, list, period } = await start();
    const { status, json } = await post({ ...GRANT, period: "2020-01" });
    expect([status, json]).toEqual([409, expect.objectContaining({ detail: expect.stringContaining(period) })]);
    expect(await list("?period=2020-01")).toEqual({ period: "2020-01", grants: [] });
    expect((await post({ ...GRANT, period })).status).toBe(201);
  });

  it("does not know what no backend is called", async () => {
    const { post } = await start();
    expect((await post(GRANT, "/api/backends/nobody/grants")).status).toBe(404);
  });

  it.each([
    ["", /JSON/],
    ["{", /JSON/],
    ["[]", /the body: expected a map with id, amounts/],
    ["null", /the body: is empty/],
    [{ ...GRANT, id: undefined }, /id: is missing/],
    [{ ...GRANT, id: "" }, /id: expected.*1 to 256/],
    [{ ...GRANT, id: "x".repeat(257) }, /id: expected.*1 to 256/],
    [{ ...GRANT, id: 4711 }, /id: expected.*got 4711/],
    [{ ...GRANT, reason: undefined }, /reason: is missing/],
    [{ ...GRANT, reason: "x".repeat(1_001) }, /reason: expected.*1 to 1000/],
    [{ ...GRANT, reason: "two\nlines" }, /reason: expected.*on one line/],
    ['{"id":"\\ud800","amounts":{"apiRequests":1},"reason":"r"}', /id: expected/],
    [{ ...GRANT, by: null }, /by: is empty/],
    [{ ...GRANT, amounts: undefined }, /amounts: is missing/],
    [{ ...GRANT, amounts: {} }, /amounts: expected one amount or more/],
    [{ ...GRANT, amounts: 5 }, /amounts: expected a map with apiRequests, egressBytes, ingressBytes/],
    [{ ...GRANT, amounts: { apiRequests: 0 } }, /amounts\.apiRequests: expected a whole number of requests from 1/],
    [{ ...GRANT, amounts: { apiRequests: -1, egressBytes: 0 } }, /amounts\.apiRequests.*; amounts\.egressBytes/],
    [{ ...GRANT, amounts: { apiRequests: 1.5 } }, /amounts\.apiRequests: expected a whole number/],
    [{ ...GRANT, amounts: { egressBytes: "10 bananas" } }, /amounts\.egressBytes: .*bananas/],
    [{ ...GRANT, amounts: { egressBytes: 2 ** 53 } }, /amounts\.egressBytes: .*2\^53-1/],
    [{ ...GRANT, amounts: { tokens: 5 } }, /amounts\.tokens: unknown key; known here: apiRequests/],
    ['{"id":"1","amounts":{"__proto__":5},"reason":"r"}', /amounts\.__proto__: cannot be a name/],
    [{ ...GRANT, who: "me" }, /who: unknown key; known here: id, amounts, reason, by, period/],
  ])("refuses %j, and says which field is wrong", async (body, detail) => {
    const { app, post, list, made } = await start();
    const { status, json, headers } = await post(body);
    expect([status, json]).toEqual([400, expect.objectContaining({ detail: expect.stringMatching(detail) })]);
    expect(headers["content-type"]).toBe("application/problem+json");
    expect(await list()).toMatchObject({ grants: [] });
    expect([app.tracker.check(NAME, {}).granted, made]).toEqual([undefined, []]);
  });

  it("reads no more than 16 KiB of a body, and none of who may not grant", async () => {
    const { admin, post, list } = await start({
      admin: { listen: { host: "127.0.0.1", port: 0 }, token: "s3cret" },
    });
    expect((await post(GRANT)).status).toBe(401);
    const headers = { authorization: "Bearer s3cret" };
    const options = { method: "POST", headers, body: JSON.stringify({ ...GRANT, reason: "x".repeat(17_000) }) };
    expect((await call(admin, PATH, options)).status).toBe(413);
    const foreign = { ...headers, origin: "http://evil.example" };
    expect((await call(admin, PATH, { ...options, headers: foreign, body: JSON.stringify(GRANT) })).status).toBe(403);
    // One that never ends is refused while it comes.
    const socket = connect(admin.port, admin.host);
    await once(socket, "connect");
    socket.on("error", () => {});
    const head = `POST ${PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer s3cret\r\ntransfer-encoding: chunked\r\n\r\n`;
    socket.write(`${head}4100\r\n${"x".repeat(0x4100)}\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 413 .*connection: close/is);
    expect((await call(admin, "/api/grants", { headers })).json).toMatchObject({ grants: [] });
    expect(await list()).toMatchObject({ status: 401 });
  });

  it("answers 503 while the store fails, and grants once when it is sent again", async () => {
    const { app, post, config } = await start();
    const database = new Database(fileOf(config));
    database.exec("alter table usage_grants rename to away");
    const { status, json } = await post(GRANT);
    expect([status, json]).toEqual([
      503,
      expect.objectContaining({ detail: expect.stringMatching(/usage_grants.*under the same id/s) }),
    ]);
    expect((await call(app.readiness.address, "/objects/1")).status).toBe(200);
    expect(app.tracker.check(NAME, {}).granted).toBeUndefined();
    database.exec("alter table away rename to usage_grants");
    database.close();
    await vi.waitFor(async () => expect((await post(GRANT)).status).toBe(201));
    expect((await post(GRANT)).status).toBe(200);
  });
});

describe("GET /api/grants", () => {
  it("lists those of a period with their trail, the latest first, of one backend where one is named", async () => {
    const { admin, post, list, period } = await start();
    expect(await list()).toEqual({ period, grants: [] });
    await post(GRANT);
    await post({ id: "2", amounts: { apiRequests: 1 }, reason: "r" }, "/api/backends/b2/grants");
    const grantedAt = expect.stringMatching(/^\d{4}-.*Z$/);
    const first = { ...GRANT, backend: NAME, grantedAt };
    const second = { backend: "b2", id: "2", amounts: { apiRequests: 1 }, reason: "r", by: null, grantedAt };
    expect(await list()).toEqual({ period, grants: [second, first] });
    expect(await list(`?period=${period}&backend=b2`)).toEqual({ period, grants: [second] });
    expect(await list("?period=2020-01")).toEqual({ period: "2020-01", grants: [] });
    for (const query of ["?period=now", "?since=1", "?backend=%00", "?period=2020-01&period=2020-01"]) {
      expect((await call(admin, `/api/grants${query}`)).status).toBe(400);
    }
  });

  it("answers 503 while the store fails", async () => {
    const { admin, config } = await start();
    const database = new Database(fileOf(config));
    database.exec("drop table usage_grants");
    database.close();
    expect((await call(admin, "/api/grants")).status).toBe(503);
  });
});

it("what was granted is there after a restart, and elsewhere after a refresh", async () => {
  const { app, post, config, proxy } = await start();
  for (let n = 0; n < 3; n += 1) await call(proxy, "/objects/1");
  const other = await startApp(config);
  await post(GRANT);
  expect(other.app.tracker.check(NAME, {}).granted).toBeUndefined();
  await app.flusher.flush();
  await other.app.flusher.flush();
  const get = async () => (await call(other.proxy, "/objects/1")).status;
  expect([await get(), await get(), await get()]).toEqual([200, 200, 429]);
  await Promise.all([app.stop({ graceMs: 0 }), other.app.stop({ graceMs: 0 })]);
  const again = await startApp(config);
  expect(again.app.tracker.check(NAME, {})).toMatchObject({
    usage: { apiRequests: 5 },
    limits: { apiRequests: 5 },
    granted: { apiRequests: 2 },
  });
});
