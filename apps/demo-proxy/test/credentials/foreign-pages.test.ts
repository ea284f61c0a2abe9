import { describe, expect, it } from "vitest";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { send } from "../proxy/client.ts";
import { startUpstream } from "../proxy/node-upstream.ts";
import { startApp } from "../support/app.ts";
import { configured } from "../support/configured-app.ts";

const KEY = "clients-own-key-0123";
const EVIL = "https://evil.example";
const AUTH = "auth: { kind: bearer, token: sk-provider-0123456789 }";

/** A proxy with a provider behind it that lets pages of all sites read, as some do. */
async function start(settings: string, { auth = AUTH, ...changes }: Partial<ProxyConfig> & { auth?: string } = {}) {
  const upstream = await startUpstream((request, response) => {
    request.resume();
    response.writeHead(200, { "access-control-allow-origin": "*" }).end("answer");
  });
  const config = configured(
    `${settings}\nbackends: [{ name: llm, url: "http://127.0.0.1:${upstream.port}"${auth && `, ${auth}`} }]`,
  );
  const { proxy } = await startApp({ ...config, ...changes });
  const status = async (headers: Record<string, string>, method = "POST"): Promise<number> =>
    (await send(proxy.port, "/v1/chat", { method, headers })).status;
  const host = `127.0.0.1:${proxy.port}`;
  return { upstream, status, host };
}

describe("where a proxy on loopback has a provider's credentials and clients need no key", () => {
  it("a page that made its name point here gets nothing, and what is called by its own names all", async () => {
    const { upstream, status, host } = await start("cors: { origins: ['http://named.example:8080'] }");
    const own = { origin: "http://evil.example:8080", host: "evil.example:8080" };
    for (const headers of [own, { host: "evil.example" }, { host: "127.0.0.1.evil.example" }, { host: "[::1].evil" }]) {
      expect([headers, await status(headers)]).toEqual([headers, 403]);
      expect(await status(headers, "GET")).toBe(403);
    }
    expect(upstream.requests).toEqual([]);
    for (const name of [
      host,
      "localhost:1",
      "LOCALHOST.",
      "bucket.localhost",
      "[::1]:80",
      "10.0.0.1",
      "named.example:8080",
    ]) {
      expect([name, await status({ host: name })]).toEqual([name, 200]);
    }
    expect(await status({ origin: `http://${host}`, host })).toBe(200);
  });

  it("a page of another site spends nothing, whether it could read the answer or not, unless cors.origins names it", async () => {
    const { upstream, status } = await start("cors: { origins: [https://app.example] }");
    const image = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" };
    const frame = { ...image, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" };
    expect(await status({ origin: EVIL })).toBe(403);
    expect(await status({ origin: "null" })).toBe(403);
    expect(await status({ origin: EVIL, "access-control-request-method": "POST" }, "OPTIONS")).toBe(403);
    expect(await status(image, "GET")).toBe(403);
    expect(await status(frame, "GET")).toBe(403);
    expect(upstream.requests).toEqual([]);
    expect(await status({ origin: "https://app.example", ...image })).toBe(200);
    // Another page of this machine, and a link that a user follows.
    expect(await status({ origin: "http://localhost:5173", "sec-fetch-site": "cross-site" })).toBe(200);
    expect(await status({ ...frame, "sec-fetch-dest": "document" }, "GET")).toBe(200);
  });

  it("names of its routes and whatever a trusted server in front calls it are its own", async () => {
    const routed = await start("", { routes: [{ match: { host: ["*.s3.example"] }, backends: ["llm"] }] });
    expect([await routed.status({ host: "a.s3.example" }), await routed.status({ host: "evil.example" })]).toEqual([
      200, 403,
    ]);
    const front = await start("trustedProxies: [127.0.0.0/8]");
    expect(await front.status({ host: "api.example", origin: "http://api.example" })).toBe(200);
    expect(await front.status({ "x-forwarded-host": "api.example", origin: "http://api.example" })).toBe(200);
    expect(await front.status({ host: "api.example", origin: EVIL })).toBe(403);
  });

  it("nothing is refused to pages that need a key, or that use nobody's credentials", async () => {
    const foreign = { origin: EVIL, host: "evil.example", "sec-fetch-site": "cross-site" };
    const keyed = await start(`clients: [{ name: app, key: ${KEY} }]`);
    expect(await keyed.status({ ...foreign, authorization: `Bearer ${KEY}` })).toBe(200);
    expect(await (await start("", { auth: "" })).status(foreign)).toBe(200);
  });
});
