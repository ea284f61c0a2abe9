import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { ProxyConfig } from "../../../src/config/proxy-config.ts";
import { startApp, startUpstream, testConfig } from "../../support/app.ts";
import { call } from "../../support/call.ts";

async function start() {
  const upstream = await startUpstream();
  const backends = [
    { name: "oci", url: upstream.url, limits: { apiRequests: 2 } },
    { name: "b2", url: upstream.url, limits: { apiRequests: 0 } },
  ];
  const config = testConfig(backends);
  return { config, ...(await again(config)) };
}

async function again(config: ProxyConfig) {
  const started = await startApp(config);
  const { admin, proxy } = started;
  const send = (method: string, path: string, body?: unknown, headers = {}) =>
    call(admin, `/api/backends/${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const get = async () => (await call(proxy, "/objects/1")).status;
  const usage = async () => {
    const { json } = await call(admin, "/api/usage");
    return (json as { backends: { name: string; draining: boolean; settings: unknown; limits: unknown }[] }).backends;
  };
  return { ...started, send, get, usage };
}

describe("settings changed by API", () => {
  it("win over the file until they are taken back, in the whole fleet, and after a restart; the trail says who and when", async () => {
    const { app, config, send, get, usage, admin } = await start();
    const other = await again(config);
    expect([await get(), await get(), await get()]).toEqual([200, 200, 429]);
    const put = await send("PUT", "oci/limits", { limits: { apiRequests: 4 }, by: "ada", reason: "a sale" });
    expect([put.status, put.headers.etag]).toEqual([200, '"1"']);
    const changed = { from: "api", value: { apiRequests: 4 }, revision: 1, by: "ada", at: expect.any(String) };
    expect(put.json).toEqual({ name: "oci", setting: "limits", ...changed });
    expect(await get()).toBe(200);
    const [oci, b2] = await usage();
    expect(oci).toMatchObject({ limits: { apiRequests: 4 }, settings: { limits: changed } });
    expect(b2).toMatchObject({
      settings: { limits: { from: "file", value: { apiRequests: 0 }, revision: 0, by: null, at: null } },
    });
    // The other one hears of it within seconds.
    const others = async () => (await other.usage())[0]?.limits;
    await vi.waitFor(async () => expect(await others()).toEqual({ apiRequests: 4 }), { timeout: 8_000, interval: 100 });
    // A file that is read again changes nothing of it.
    await app.live.take(async () => ({
      ...config,
      backends: config.backends.map((b) => ({ ...b, limits: { apiRequests: 9 } })),
    }));
    expect((await usage()).map(({ limits }) => limits)).toEqual([{ apiRequests: 4 }, { apiRequests: 9 }]);
    const third = await again(config);
    expect((await third.usage())[0]).toMatchObject({ limits: { apiRequests: 4 } });
    const back = await send("DELETE", "oci/limits");
    expect(back.json).toMatchObject({ from: "file", value: { apiRequests: 9 }, revision: 2, by: "127.0.0.1" });
    expect((await usage())[0]?.limits).toEqual({ apiRequests: 9 });
    await send("POST", "b2/grants", { id: "g", amounts: { apiRequests: 1 }, reason: "once", by: "eve" });
    expect((await call(admin, "/api/changes")).json).toMatchObject({
      unused: [],
      changes: [
        { backend: "b2", setting: "grant", after: { id: "g", amounts: { apiRequests: 1 } }, by: "eve" },
        { revision: 2, backend: "oci", setting: "limits", before: { apiRequests: 4 }, after: null, reason: null },
        { revision: 1, before: { apiRequests: 2 }, after: { apiRequests: 4 }, by: "ada", reason: "a sale" },
      ],
    });
    // Page by page, also by an instance that made none of them.
    const page = async (query: string) => {
      const { json } = (await call(third.admin, `/api/changes?${query}`)) as {
        json: { total: number; changes: object[] };
      };
      return [json.total, json.changes.map((change) => ("revision" in change ? change.revision : undefined))];
    };
    expect(await page("limit=2")).toEqual([3, [null, 2]]);
    expect(await page("limit=2&offset=2")).toEqual([3, [1]]);
    expect(await page("backend=oci&offset=1")).toEqual([2, [1]]);
    expect(await page("offset=3")).toEqual([3, []]);
    for (const odd of ["limit=0", "limit=1001", "limit=1.5", "offset=-1", "offset=x", "limit=1&limit=2"]) {
      expect((await call(third.admin, `/api/changes?${odd}`)).status, odd).toBe(400);
    }
  });

  it("keep a drain beyond a restart, until it is resumed", async () => {
    const { config, app, send, get } = await start();
    expect((await send("POST", "oci/drain", { by: "ada" })).json).toMatchObject({
      name: "oci",
      draining: true,
      inFlight: 0,
    });
    expect(await get()).not.toBe(200);
    await app.stop({ graceMs: 0 });
    const next = await again(config);
    expect((await next.usage())[0]).toMatchObject({
      draining: true,
      settings: { drained: { by: "ada", value: true } },
    });
    expect(await next.get()).not.toBe(200);
    expect((await next.send("POST", "oci/resume")).json).toMatchObject({ draining: false, revision: 2, from: "file" });
    expect(await next.get()).toBe(200);
  });

  it("are changed by one of two operators who have seen the same, and the other is told who was faster", async () => {
    const { send, usage } = await start();
    const limits = { apiRequests: 5 };
    const rivals = ["ada", "eve"].map((by) => send("PUT", "oci/limits", { limits, by }, { "if-match": '"0"' }));
    const replies = await Promise.all(rivals);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 412]);
    const refused = replies.find(({ status }) => status === 412);
    expect(refused?.json).toMatchObject({
      status: 412,
      title: "Precondition failed",
      detail: expect.stringMatching(/by (ada|eve) at/),
    });
    expect((await send("PUT", "oci/thresholds", { thresholds: [0.9, 0.5] }, { "if-match": '"0"' })).json).toMatchObject(
      { value: [0.5, 0.9] },
    );
    const last = refused?.headers.etag;
    expect((await send("PUT", "oci/limits", { limits: {} }, { "if-match": last })).status).toBe(200);
    expect((await usage())[0]).toMatchObject({
      limits: {},
      settings: { thresholds: { from: "api", value: [0.5, 0.9] } },
    });
  });

  it("of another instance are in force where somebody who has not seen them is refused, who is told them", async () => {
    const { config, send, usage } = await start();
    const other = await again(config);
    for (const apiRequests of [5, 6]) {
      await other.send("PUT", "oci/limits", { limits: { apiRequests }, by: "eve", reason: "a sale" });
      const refused = await send("PUT", "oci/limits", { limits: { apiRequests: 7 } }, { "if-match": '"0"' });
      const now = { from: "api", value: { apiRequests }, revision: apiRequests - 4, by: "eve" };
      expect(refused.json).toMatchObject({ status: 412, setting: "limits", ...now });
      // Not in some seconds, nor never.
      expect((await usage())[0]).toMatchObject({ limits: { apiRequests }, settings: { limits: now } });
    }
  });

  it("change nothing where the request is wrong, and say what is", async () => {
    const { send, usage } = await start();
    const before = await usage();
    const wrong = [
      [await send("PUT", "oci/limits", { limits: { apiRequests: -1 } }), "limits.apiRequests"],
      [
        await send("PUT", "oci/limits", { limits: { classZ: 1 } }),
        "limits.classZ: unknown key; known here: apiRequests",
      ],
      [await send("PUT", "oci/limits", JSON.parse('{"limits":{"__proto__":1}}')), "limits.__proto__: cannot be a name"],
      [await send("PUT", "oci/limits", { limit: {} }), "limit: unknown key"],
      [await send("PUT", "oci/limits", { limits: {}, by: "a\nb" }), "by: "],
      [await send("PUT", "oci/thresholds", { thresholds: [-1] }), "thresholds.0"],
      [await send("PUT", "oci/limits", { limits: {} }, { "if-match": "7" }), "If-Match"],
      [await send("POST", "oci/drain", { why: 1 }), "why: unknown key"],
    ] as const;
    for (const [{ status, json, headers }, detail] of wrong) {
      expect([status, headers["content-type"]]).toEqual([400, "application/problem+json"]);
      expect((json as { detail: string }).detail).toContain(detail);
    }
    expect((await send("PUT", "nobody/limits", { limits: {} })).status).toBe(404);
    expect((await send("PUT", "oci/limits", { limits: {} }, { "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect(await usage()).toEqual(before);
  });

  it("are listed and do nothing where their backend is not in the file any more, and can be taken back", async () => {
    const { config, app, send, admin } = await start();
    await send("PUT", "b2/limits", { limits: { apiRequests: 7 } });
    await app.live.take(async () => ({ ...config, backends: config.backends.slice(0, 1) }));
    expect((await call(admin, "/api/changes")).json).toMatchObject({ unused: ["b2"] });
    expect((await send("PUT", "b2/thresholds", { thresholds: [] })).status).toBe(404);
    expect((await send("DELETE", "b2/limits")).json).toMatchObject({ from: "file", value: null });
    expect((await call(admin, "/api/changes")).json).toMatchObject({ unused: [] });
  });

  it("keep no proxy from its start where the file does not count any more what they limit, which is said", async () => {
    const upstream = await startUpstream();
    const dimensions = new Map([["classA", [{ amount: 1 }]]]);
    const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }], { dimensions });
    const { app, send } = await again(config);
    await send("PUT", "oci/limits", { limits: { classA: 5, apiRequests: 1 } });
    await app.stop({ graceMs: 0 });
    const { dimensions: _, ...without } = config;
    const next = await again(without);
    expect((await next.usage())[0]).toMatchObject({
      limits: { apiRequests: 1 },
      settings: { limits: { from: "api" } },
    });
    expect((await call(next.admin, "/api/usage")).json).toMatchObject({
      config: {
        complaints: [expect.stringMatching(/^classA, of which backend "oci" had a limit by API, is not coun/)],
      },
    });
    expect([await next.get(), await next.get()]).toEqual([200, 429]);
  });

  it("are refused where the store fails, and nothing is changed", async () => {
    const upstream = await startUpstream();
    const { openStore } = await import("../../../src/counting/open-store.ts");
    const config = testConfig([{ name: "oci", url: upstream.url, limits: { apiRequests: 2 } }]);
    const kept = await openStore(config.store);
    onTestFinished(() => kept.close());
    let isAway = false;
    const store = {
      ...kept,
      change: async (...args: Parameters<NonNullable<typeof kept.change>>) => {
        if (isAway) throw new Error("the database is away");
        return kept.change?.(...args);
      },
    };
    const { admin } = await startApp(config, { store });
    isAway = true;
    for (const [method, path, body] of [
      ["PUT", "limits", '{"limits":{}}'],
      ["POST", "drain", ""],
    ] as const) {
      const reply = await call(admin, `/api/backends/oci/${path}`, { method, body });
      expect(reply.json).toMatchObject({ status: 503, detail: expect.stringContaining("the database is away") });
    }
    const { json } = await call(admin, "/api/usage");
    expect(json).toMatchObject({ backends: [{ draining: false, limits: { apiRequests: 2 } }] });
    isAway = false;
    expect((await call(admin, "/api/backends/oci/drain", { method: "POST" })).status).toBe(200);
  });
});
