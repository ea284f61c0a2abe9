import { once } from "node:events";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { parseConfig } from "../../src/config/read-config.ts";
import type { AccessEntry } from "../../src/proxy/access-entry.ts";
import { startWebSockets } from "../proxy/websocket-upstream.ts";
import { startApp, testConfig } from "../support/app.ts";
import { startConfigured } from "../support/configured-app.ts";
import { scrape } from "../support/metrics.ts";

const KEY = "clients-own-key-0123";
const PROVIDER = "sk-provider-0123456789";

async function start(limits = "", enforcement = "approximate") {
  const upstream = await startWebSockets();
  const entries: AccessEntry[] = [];
  const started = await startConfigured(
    `clients: [{ name: app, key: ${KEY}${limits && `, ${limits}`} }]
counter: { kind: local, enforcement: ${enforcement} }
backends: [{ name: llm, url: "http://127.0.0.1:${upstream.port}", auth: { kind: bearer, token: ${PROVIDER} } }]`,
    { accessLog: (entry) => entries.push(entry) },
  );
  const dial = (headers: Record<string, string>): WebSocket => {
    const ws = new WebSocket(`ws://127.0.0.1:${started.proxy.port}/v1/realtime?api_key=of-the-client`, PROTOCOLS, {
      headers,
    });
    onTestFinished(() => ws.terminate());
    return ws.on("error", () => {});
  };
  return { ...started, upstream, entries, dial };
}

const PROTOCOLS = ["realtime", "openai-insecure-api-key.sk-of-the-client"];

describe("a client with a key of the proxy's", () => {
  it.each([
    ["as a token", `Bearer ${KEY}`],
    ["as a password", `Basic ${Buffer.from(`app:${KEY}`).toString("base64")}`],
  ])(
    "opens a WebSocket by the proxy's token, and what it sent for itself reaches nobody: %s",
    async (_, authorization) => {
      const { upstream, entries, dial, admin } = await start();
      const ws = dial({ authorization, cookie: "of-the-client" });
      await once(ws, "open");
      expect(ws.protocol).toBe("realtime");
      const [{ url, headers, rawHeaders } = expect.unreachable()] = upstream.requests;
      expect([url, headers.authorization]).toEqual(["/v1/realtime", `Bearer ${PROVIDER}`]);
      expect(rawHeaders.join(" ")).not.toMatch(/of-the-client|clients-own/);
      const opened = await scrape(admin);
      const value = (name: string) => opened.value(`usage_backend_${name}`, { backend: "llm" });
      expect(["in_flight_requests", "open_websockets", "websockets_total"].map(value)).toEqual([1, 1, 1]);
      ws.close();
      await once(ws, "close");
      await expect.poll(() => entries).toHaveLength(1);
      const { egressBytes } = upstream.traffic();
      expect(entries).toMatchObject([
        {
          method: "GET",
          path: "/v1/realtime",
          client: "app",
          status: 101,
          backend: "llm",
          egressBytes,
          complete: true,
        },
      ]);
      expect((await scrape(admin)).value("usage_backend_open_websockets", { backend: "llm" })).toBe(0);
    },
  );

  it.each(["approximate", "exact"])(
    "is kept within its own limits through a WebSocket that is open: %s",
    async (enforcement) => {
      const { upstream, app, dial } = await start(`limits: { day: { egressBytes: 1000 } }`, enforcement);
      const ws = dial({ authorization: `Bearer ${KEY}` });
      const closed = once(ws, "close");
      const [[opened]] = await Promise.all([once(ws, "upgrade"), once(ws, "open")]);
      // What is left to it, as with any other answer.
      expect(opened.headers.ratelimit).toMatch(/^"day:egressBytes";r=\d+;t=\d+$/);
      expect(opened.headers["ratelimit-policy"]).toMatch(/^"day:egressBytes";q=1000;/);
      const echoed = setInterval(() => ws.send(Buffer.alloc(496)), 20);
      onTestFinished(() => clearInterval(echoed));
      const [code, reason] = await closed;
      expect(`${code} ${reason}`).toBe("1008 the limit of egress is used up");
      await expect.poll(() => app.inFlight()).toBe(0);
      const { egressBytes } = upstream.traffic();
      expect(app.tracker.counter.totalAll("llm").egressBytes).toBe(egressBytes);
      if (enforcement === "exact") expect(egressBytes).toBeLessThanOrEqual(2_000);
    },
  );

  it("with another one gets 401, and no backend is asked", async () => {
    const { upstream, dial } = await start();
    const [, response] = await once(dial({ authorization: "Bearer nobody-knows-this" }), "unexpected-response");
    expect(response.statusCode).toBe(401);
    expect(upstream.requests).toEqual([]);
  });
});

it("a WebSocket costs what rules say of it as soon as it is open", async () => {
  const upstream = await startWebSockets();
  const { backends, dimensions } = parseConfig(
    `dimensions: { chats: [{ path: /v1/realtime, status: 101, amount: 3 }] }
backends: [{ name: llm, url: "http://127.0.0.1:${upstream.port}", limits: { chats: 5 } }]`,
    { file: "t.yaml", folder: "/" },
  );
  const { app, proxy } = await startApp(testConfig(backends, { ...(dimensions && { dimensions }) }));
  const dial = () => {
    const ws = new WebSocket(`ws://127.0.0.1:${proxy.port}/v1/realtime`);
    onTestFinished(() => ws.terminate());
    return ws.on("error", () => {});
  };
  await once(dial(), "open");
  expect(app.tracker.counter.totalAll("llm")).toMatchObject({ apiRequests: 1, chats: 3 });
  const [, response] = await once(dial(), "unexpected-response");
  expect(response.statusCode).toBe(429);
});

describe("a page of another site", () => {
  const EVIL = "https://evil.example";
  const basic = `Basic ${Buffer.from(`app:${KEY}`).toString("base64")}`;

  it("opens no WebSocket by credentials that are not its own, unless cors.origins names it", async () => {
    const upstream = await startWebSockets();
    const backends = `backends: [{ name: llm, url: "http://127.0.0.1:${upstream.port}", auth: { kind: bearer, token: ${PROVIDER} } }]`;
    const cors = "cors: { origins: [https://app.example] }";
    const open = await startConfigured(`${backends}\n${cors}`);
    const keyed = await startConfigured(`clients: [{ name: app, key: ${KEY} }]\n${backends}\n${cors}`);
    const status = async ({ proxy }: typeof open, headers: Record<string, string>): Promise<number> => {
      const ws = new WebSocket(`ws://127.0.0.1:${proxy.port}/`, { headers });
      onTestFinished(() => ws.terminate());
      ws.on("error", () => {});
      return Promise.race([
        once(ws, "open").then(() => 101),
        once(ws, "unexpected-response").then(([, response]) => response.statusCode),
      ]);
    };
    expect(await status(open, { origin: EVIL })).toBe(403);
    expect(await status(open, { origin: "null" })).toBe(403);
    expect(await status(keyed, { origin: EVIL, authorization: basic })).toBe(403);
    expect(await status(open, { origin: "http://evil.example", host: "evil.example" })).toBe(403);
    expect(upstream.requests).toEqual([]);
    expect(await status(open, {})).toBe(101);
    expect(await status(open, { origin: `http://127.0.0.1:${open.proxy.port}` })).toBe(101);
    expect(await status(open, { origin: "https://app.example" })).toBe(101);
    expect(await status(keyed, { origin: EVIL, authorization: `Bearer ${KEY}` })).toBe(101);
    expect(await status(keyed, { authorization: basic })).toBe(101);
  });
});
