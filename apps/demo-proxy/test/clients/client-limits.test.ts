import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import Database from "better-sqlite3";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import type { ClientAuditRow } from "../../src/admin/api/audit/client-audit.ts";
import { startApp } from "../support/app.ts";
import { call } from "../support/call.ts";
import { startConfigured } from "../support/configured-app.ts";
import { clientOf, clientsOf, keyOf, noon, startWithClients } from "./client-fixture.ts";

describe("a client with limits of its own", () => {
  it("is counted in its windows like the backend, and refused before a backend is asked, while others go on", async () => {
    const clock = noon();
    const { app, admin, ask, upstream } = await startWithClients(
      {
        plans: "{ free: { day: { apiRequests: 3 }, month: { egressBytes: 1MB } } }",
        // Names of clients may be those of backends.
        clients: { llm: "plan: free", batch: "" },
      },
      { clock },
    );
    expect((await ask("llm", "/1000", { method: "PUT", body: "x".repeat(500) })).status).toBe(200);
    expect([(await ask("llm")).status, (await ask("llm")).status]).toEqual([200, 200]);
    const refused = await ask("llm");
    expect(refused.status).toBe(429);
    const [day] = new Date(clock.now()).toISOString().split("T");
    const detail = `There is no room left for the client llm. The limit of apiRequests in the window day (${day})`;
    expect(JSON.parse(refused.text)).toMatchObject({
      client: "llm",
      window: "day",
      dimensions: ["apiRequests"],
      reason: "limit",
      "violated-policies": ["day:apiRequests"],
      error: { code: "insufficient_quota", message: expect.stringContaining(detail) },
      detail: expect.stringContaining(detail),
    });
    expect(refused.headers).toMatchObject({ "x-should-retry": "false" });
    expect(refused.headers["retry-after"]).toBeUndefined();
    expect(refused.headers.ratelimit).toContain('"day:apiRequests";r=0');
    expect(upstream.requests).toHaveLength(3);
    expect((await ask("batch")).status).toBe(200);

    expect(app.tracker.counter.totalAll("llm")).toEqual({ apiRequests: 4, egressBytes: 1030, ingressBytes: 500 });
    const used = { apiRequests: 3, egressBytes: 1020, ingressBytes: 500 };
    const report = await clientsOf(admin);
    expect(report).toMatchObject({ total: 2, matching: 2, offset: 0, windows: ["month", "day"] });
    expect(report.plans).toEqual({ free: { day: { apiRequests: 3 }, month: { egressBytes: 1e6 } } });
    const held = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
    expect(report.clients).toMatchObject([
      {
        name: "llm",
        plan: "free",
        refused: 1,
        withinLimits: false,
        usedPart: 1,
        window: "day",
        dimension: "apiRequests",
        windows: {
          month: { usage: used, held, limits: { egressBytes: 1e6 }, usedPart: 0.00102, withinLimits: true },
          day: { period: { key: `day:${day}` }, usage: used, held, limits: { apiRequests: 3 }, withinLimits: false },
        },
      },
      { name: "batch", plan: null, refused: 0, withinLimits: true, usedPart: null, window: null, dimension: null },
    ]);
    expect(Object.keys(report.clients[1]?.windows ?? {})).toEqual(["month"]);
    const { text } = await call(admin, "/metrics");
    for (const line of [
      "usage_clients 2",
      'usage_client_usage{client="llm",window="day",dimension="apiRequests"} 3',
      'usage_client_limit{client="llm",window="day",dimension="apiRequests"} 3',
      'usage_client_usage{client="batch",window="month",dimension="egressBytes"} 10',
      'usage_client_refused_total{client="llm"} 1',
    ])
      expect(text).toContain(`\n${line}\n`);
  });

  it("is told with each answer what is left to it, in place of what is left to the operator; others are told of that", async () => {
    const clock = noon();
    const { ask } = await startWithClients(
      {
        plans: "{ free: { day: { apiRequests: 3, egressBytes: 1000 }, month: { ingressBytes: 1MB } } }",
        clients: { web: "plan: free", batch: "limits: { day: {} }" },
        more: "cors: { origins: [https://app.example.com] }",
      },
      { clock },
    );
    const toMidnight = Math.ceil((new Date(clock.now()).setUTCHours(24, 0, 0, 0) - clock.now()) / 1_000);
    const told = (await ask("web", "/100")).headers;
    const limits =
      /^"month:ingressBytes";r=1000000;t=\d+, "day:apiRequests";r=2;t=(\d+), "day:egressBytes";r=900;t=\1$/.exec(
        String(told.ratelimit),
      );
    expect(Math.abs(Number(limits?.[1]) - toMidnight)).toBeLessThan(60);
    expect(told["ratelimit-policy"]).toContain(
      '"day:apiRequests";q=3;qu="requests";w=86400, "day:egressBytes";q=1000;',
    );
    expect(told["ratelimit-remaining"]).toBeUndefined();
    expect(told).toMatchObject({
      "x-ratelimit-remaining-requests": "5",
      "access-control-expose-headers": "x-request-id",
    });
    const page = async (origin: string) => (await ask("web", "/100", { headers: { origin } })).headers;
    expect((await page("https://app.example.com"))["access-control-expose-headers"]).toBe(
      "x-request-id, RateLimit, RateLimit-Policy",
    );
    expect((await page("https://elsewhere.example.com"))["access-control-expose-headers"]).toBe("x-request-id");
    expect((await ask("batch")).headers).toMatchObject({
      ratelimit: '"of-the-account";r=5',
      "ratelimit-remaining": "5",
    });
  });

  it("is charged for what it gets: nothing of what no backend takes, and once for what was sent to two", async () => {
    const { app, admin, ask } = await startWithClients({
      clients: { web: "limits: { day: { apiRequests: 2 } }" },
      backends: ["one", "two"],
      limits: "{ apiRequests: 1, egressBytes: 2000 }",
    });
    expect((await ask("web", "/busy/one/40")).status).toBe(200);
    const counted = ["one", "two"].map((name) => app.tracker.counter.totalAll(name).apiRequests);
    expect(counted).toEqual([1, 1]);
    const used = { apiRequests: 1, egressBytes: 40, ingressBytes: 0 };
    expect(await clientOf(admin, "web")).toMatchObject({ windows: { day: { usage: used } }, refused: 0 });
    for (let i = 0; i < 3; i++) {
      const refused = await ask("web");
      expect([refused.status, JSON.parse(refused.text).client]).toEqual([503, undefined]);
    }
    const held = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
    expect(await clientOf(admin, "web")).toMatchObject({ windows: { day: { usage: used, held } }, refused: 0 });
  });

  it("gets of an exact limit as much as there is and no more, whose room it ever is that ends", async () => {
    const { app, admin, ask } = await startWithClients({
      clients: { web: "limits: { day: { egressBytes: 5000 } }", batch: "limits: { day: { ingressBytes: 700 } }" },
      limits: "{ egressBytes: 20000 }",
      more: "counter: { kind: local, enforcement: exact }",
    });
    expect((await ask("web", "/4000")).status).toBe(200);
    for (const path of ["/unannounced/3000", "/3000"]) {
      const cut = await ask("web", path);
      expect(cut.status).toBe(429);
      expect(JSON.parse(cut.text)).toMatchObject({ client: "web", window: "day", dimensions: ["egressBytes"] });
    }
    // What the backend had sent of it may be used up, too: it is counted at both.
    const { egressBytes } = app.tracker.counter.totalAll("llm");
    expect(await clientOf(admin, "web")).toMatchObject({ windows: { month: { usage: { egressBytes } } } });
    const put = { method: "PUT", body: "x".repeat(500) };
    expect((await ask("batch", "/0", put)).status).toBe(200);
    const upload = await ask("batch", "/0", put);
    expect(JSON.parse(upload.text)).toMatchObject({ client: "batch", dimensions: ["ingressBytes"] });
    // Here it is the backend that has none.
    const atBackend = JSON.parse((await ask("batch", "/50000")).text);
    expect(atBackend.client).toBeUndefined();
    expect(atBackend.detail).toContain("there is no room for its answer");
    expect(await clientOf(admin, "web")).toMatchObject({ refused: 2, windows: { day: { held: { egressBytes: 0 } } } });
    expect(await clientOf(admin, "batch")).toMatchObject({
      refused: 1,
      windows: { day: { usage: { ingressBytes: 500 } } },
    });
    expect(app.tracker.counter.heldAll("llm").egressBytes).toBe(0);
  });

  it("keeps what it used over a restart, and over reloads that change its plan, remove it and bring it back", async () => {
    const clock = noon();
    const plans = "{ free: { day: { apiRequests: 3 } }, pro: { week: { apiRequests: 4 } } }";
    const started = await startWithClients({ plans, clients: { web: "", batch: "plan: free" } }, { clock });
    const { app, admin, ask, take } = started;
    const usedBy = async (name: string) => {
      const windows = Object.entries((await clientOf(admin, name))?.windows ?? {});
      return windows.map(([window, { usage }]) => `${window} ${usage.apiRequests}`);
    };
    for (const name of ["web", "web", "batch"]) expect((await ask(name)).status).toBe(200);
    expect(await usedBy("web")).toEqual(["month 2"]);
    // A window begins to count once somebody is in it.
    await take({ plans, clients: { web: "plan: pro", batch: "plan: free" } });
    expect((await ask("web")).status).toBe(200);
    expect(await usedBy("web")).toEqual(["month 3", "week 1"]);
    await take({ plans: "{ pro: { week: { apiRequests: 1 } } }", clients: { web: "plan: pro" } });
    expect([(await ask("web")).status, (await ask("batch")).status]).toEqual([429, 401]);
    expect((await clientsOf(admin)).clients.map(({ name }) => name)).toEqual(["web"]);
    await app.clientUsage.usage?.flush();
    expect(app.clientUsage.counters().map((counter) => counter.backends())).toEqual([["web"], ["web"], []]);
    await take({ plans, clients: { web: "plan: free", batch: "plan: free" } });
    expect((await ask("batch")).status).toBe(200);
    expect(await usedBy("batch")).toEqual(["month 2", "day 2"]);
    expect((await ask("web")).status).toBe(200);

    const { config } = app.live;
    await app.stop({ graceMs: 0 });
    const next = await startApp({ ...config, listen: { host: "127.0.0.1", port: 0 } }, { clock });
    const { clients } = await clientsOf(next.admin);
    expect(clients.map(({ name, windows }) => [name, windows.month?.usage.apiRequests])).toEqual([
      ["batch", 2],
      ["web", 4],
    ]);
  });
});

describe("GET /api/clients", () => {
  it("lists the worst first, finds by name and plan, and pages", async () => {
    const clients = Object.fromEntries(
      Array.from({ length: 120 }, (_, i) => [`tenant-${i}`, i % 2 ? "plan: pro" : ""]),
    );
    const { admin, ask } = await startWithClients({ plans: "{ pro: { day: { apiRequests: 10 } } }", clients });
    for (const name of ["tenant-7", "tenant-7", "tenant-55", "tenant-2"]) await ask(name);
    const names = async (query: string) => (await clientsOf(admin, query)).clients.map(({ name }) => name);
    expect((await names("")).slice(0, 3)).toEqual(["tenant-7", "tenant-55", "tenant-1"]);
    expect(await names("")).toHaveLength(50);
    expect(await names("?limit=2&offset=1")).toEqual(["tenant-55", "tenant-1"]);
    expect(await names("?search=TENANT-11&limit=3")).toEqual(["tenant-11", "tenant-111", "tenant-113"]);
    expect(await clientsOf(admin, "?search=pro&limit=1")).toMatchObject({
      total: 120,
      matching: 60,
      windows: ["month", "day"],
    });
    expect(await names("?offset=500")).toEqual([]);
    for (const query of ["?limit=0", "?limit=1001", "?offset=-1", "?limit=x", "?page=2", "?limit=1&limit=2"]) {
      expect((await call(admin, `/api/clients${query}`)).status).toBe(400);
    }
  });

  it("has nobody where requests are of nobody", async () => {
    const upstream = "http://127.0.0.1:1";
    const { admin } = await startConfigured(`backends: [{ name: llm, url: "${upstream}" }]`);
    const none = { total: 0, matching: 0, offset: 0, windows: [], plans: {}, planSettings: {}, clients: [] };
    expect(await clientsOf(admin)).toEqual(none);
  });
});

describe("GET /api/clients/audit", () => {
  it("compares what is counted of clients with what the store holds, by window, and POST /api/flush stores it", async () => {
    const { app, admin, ask } = await startWithClients({
      plans: "{ free: { day: { apiRequests: 9 } }, far: { timeZone: Asia/Tokyo, day: { apiRequests: 9 } } }",
      clients: { web: "plan: free, limits: { minute: { apiRequests: 9 } }", batch: "plan: far" },
    });
    const audit = async (query = "") => {
      const { rows } = (await call(admin, `/api/clients/audit${query}`)).json as { rows: readonly ClientAuditRow[] };
      return rows.map(({ client, window, dimension, counted, stored, verdict }) => {
        return `${client} ${window} ${dimension} ${counted} ${stored} ${verdict}`;
      });
    };
    await ask("web", "/100");
    // The window of a minute is not stored, and every client is in its month.
    expect((await audit("?client=web")).toSorted()).toEqual([
      "web day apiRequests 1 0 unstored",
      "web day egressBytes 100 0 unstored",
      "web day ingressBytes 0 0 equal",
      "web month apiRequests 1 0 unstored",
      "web month egressBytes 100 0 unstored",
      "web month ingressBytes 0 0 equal",
    ]);
    expect((await call(admin, "/api/flush", { method: "POST" })).status).toBe(200);
    expect((await audit("?client=web&window=day"))[1]).toBe("web day egressBytes 100 100 equal");
    const all = await audit();
    expect(all).toHaveLength(12);
    expect(all.filter((row) => !row.endsWith("equal"))).toEqual([]);

    const { store } = app.live.config;
    const database = new Database(store.kind === "sqlite" ? store.file : "");
    database.exec(
      "update usage_clients_tallies set amount = 60 where dimension = 'egressBytes' and period like 'day:%'",
    );
    database.close();
    expect((await audit()).filter((row) => !row.endsWith("equal"))).toEqual(["web day egressBytes 100 60 missing"]);
    await app.clientUsage.usage?.store.merge([
      {
        writer: "other",
        period: new Date(noon().now()).toISOString().slice(0, 7),
        backend: "batch",
        usage: { apiRequests: 5 },
      },
    ]);
    expect(await audit("?client=batch&window=month")).toContain("batch month apiRequests 0 5 unheard");
    for (const query of ["?window=minute", "?clients=web"]) {
      expect((await call(admin, `/api/clients/audit${query}`)).status).toBe(400);
    }
  });
});

describe("a client over its limit that is an official one", () => {
  const limited = "limits: { month: { apiRequests: 0 } }";

  it("of OpenAI fails at once, in words and with a code", async () => {
    const { origin, upstream } = await startWithClients({ clients: { llm: limited } });
    const client = new OpenAI({ apiKey: keyOf("llm"), baseURL: `${origin}/v1` });
    const failure = await client.models.list().then(
      () => expect.unreachable("the call passed"),
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ status: 429, code: "insufficient_quota" });
    expect(String(failure)).toContain("There is no room left for the client llm.");
    expect(upstream.requests).toHaveLength(0);
  });

  it("of S3 is told so in XML, with a code of S3's", async () => {
    const { origin, upstream } = await startWithClients({ clients: { photos: limited } }, {});
    const credentials = { accessKeyId: "photos", secretAccessKey: keyOf("photos") };
    const client = new S3Client({
      region: "auto",
      endpoint: origin,
      forcePathStyle: true,
      credentials,
      maxAttempts: 1,
    });
    const failure = await client.send(new GetObjectCommand({ Bucket: "b", Key: "k" })).then(
      () => expect.unreachable("the call passed"),
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ name: "QuotaExceeded", $metadata: { httpStatusCode: 429 } });
    expect(upstream.requests).toHaveLength(0);
    client.destroy();
  });
});
