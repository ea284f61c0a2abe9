import { describe, expect, it } from "vitest";
import { TrustedProxies } from "../../src/proxy/http/trusted-proxies.ts";
import { dial, send } from "./client.ts";
import { respond, startUpstream } from "./node-upstream.ts";
import { type ProxyOptions, startProxy } from "./proxy-fixture.ts";

/** What an upstream is told of a request that came from 127.0.0.1 with these headers, by name. */
async function told(headers: readonly string[], options: Partial<ProxyOptions> = {}): Promise<Record<string, unknown>> {
  const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
  const proxy = await startProxy({ ...options, upstreams: { a: upstream.port } });
  const client = await dial(proxy.port, `GET / HTTP/1.1\r\nHost: asked:81\r\n${headers.join("\r\n")}\r\n\r\n`);
  await client.until("HTTP/1.1 200");
  client.socket.destroy();
  const { host, connection, via, ...rest } = upstream.requests[0]?.headers ?? {};
  return rest;
}

const CLAIMS = [
  "X-Forwarded-For: 10.0.0.1",
  "X-Forwarded-For: 10.0.0.2",
  "X-Forwarded-Proto: https",
  "x-forwarded-host: outer.example",
  "X-Forwarded-Port: 443",
  "X-Forwarded-Prefix: /api",
  "X-Real-IP: 10.0.0.1",
  "Forwarded: for=10.0.0.1;proto=https",
];
const SEEN = { "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-host": "asked:81" };

describe("what a client says about how its request came here", () => {
  it("is replaced by what the proxy sees", async () => {
    expect(await told(CLAIMS)).toEqual(SEEN);
  });

  it("is replaced where others are trusted", async () => {
    expect(await told(CLAIMS, { trustedProxies: ["10.0.0.0/8", "::1", "127.0.0.2"] })).toEqual(SEEN);
  });

  it("is kept where it is trusted, and the proxy adds itself at the end", async () => {
    expect(await told(CLAIMS, { trustedProxies: ["10.0.0.0/8", "127.0.0.1"] })).toEqual({
      "x-forwarded-for": "10.0.0.1, 10.0.0.2, 127.0.0.1",
      "x-forwarded-proto": "https, http",
      "x-forwarded-host": "outer.example, asked:81",
      "x-forwarded-port": "443",
      "x-forwarded-prefix": "/api",
      "x-real-ip": "10.0.0.1",
      forwarded: 'for=10.0.0.1;proto=https, for=127.0.0.1;host="asked:81";proto=http',
    });
  });

  it("is dropped in the spelling that some servers take for the same", async () => {
    const spoofed = ["X_Forwarded_For: 1.1.1.1", "X-Forwarded_Proto: https", "X_Real_IP: 1.1.1.1"];
    expect(await told([...spoofed, "X_Kept: yes"])).toEqual({ ...SEEN, x_kept: "yes" });
    expect(await told(spoofed, { trustedProxies: ["127.0.0.1"] })).toEqual(SEEN);
  });

  it("is nothing where it says nothing", async () => {
    expect(await told([])).toEqual(SEEN);
    expect(await told([], { trustedProxies: ["127.0.0.1"] })).toEqual(SEEN);
  });

  it("is judged for each connection by its peer, request after request", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    const proxy = await startProxy({ upstreams: { a: upstream.port }, trustedProxies: ["127.0.0.1"] });
    const request = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";
    const client = await dial(proxy.port, request + request);
    await client.until("HTTP/1.1 200", 2);
    client.socket.destroy();
    const seen = upstream.requests.map(({ headers }) => headers["x-forwarded-for"]);
    expect(seen).toEqual(Array(2).fill("10.0.0.1, 127.0.0.1"));
  });

  it("names the host of an absolute target, whatever Host says", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    await send(proxy.port, "http://me@asked.example:81/x", { headers: { host: "other.example" } });
    expect(upstream.requests[0]?.headers["x-forwarded-host"]).toBe("asked.example:81");
    expect(upstream.requests[0]?.url).toBe("/x");
  });
});

describe("networks of trusted proxies", () => {
  it.each([
    "",
    "loopback",
    "10.0.0.0/33",
    "::1/129",
    "10.0.0",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.1:80",
    " 10.0.0.1",
  ])("refuse %j", (network) => {
    expect(() => new TrustedProxies([network])).toThrow(RangeError);
  });

  it.each([
    ["10.0.0.0/8", "10.255.0.1", true],
    ["10.0.0.0/8", "11.0.0.1", false],
    ["10.0.0.0/8", "::ffff:10.0.0.1", true],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["0.0.0.0/0", "2001:db8::1", false],
    ["fd00::/8", "fd12::1", true],
    ["::1", "::1", true],
    ["::1", "127.0.0.1", false],
    ["127.0.0.1", "unknown", false],
  ])("%s with %s: %s", (network, remoteAddress, trusted) => {
    expect(new TrustedProxies([network]).trusts({ remoteAddress })).toBe(trusted);
  });
});
