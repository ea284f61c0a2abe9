import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { describe, expect, it } from "vitest";
import { dial, send } from "./client.ts";
import { startUpstream } from "./node-upstream.ts";
import { type ProxyOptions, type RunningProxy, startProxy } from "./proxy-fixture.ts";

interface Site {
  readonly proxy: RunningProxy;
  /** `127.0.0.1:port` of the upstream. */
  readonly host: string;
  readonly requests: readonly IncomingMessage[];
}

/** A proxy before an upstream that answers by path: a status and headers that may name its own host. */
async function startSite(
  pages: Readonly<Record<string, (host: string) => readonly [status: number, headers: OutgoingHttpHeaders]>>,
  { base = "", ...options }: { readonly base?: string } & Partial<ProxyOptions> = {},
): Promise<Site> {
  const upstream = await startUpstream((request, response) => {
    const page = pages[request.url ?? ""];
    const [status, headers] = page?.(host) ?? [200, {}];
    response.writeHead(status, headers).end(`this is ${request.url}`);
  });
  const host = `127.0.0.1:${upstream.port}`;
  const proxy = await startProxy({ ...options, upstreams: { a: `http://${host}${base}` } });
  return { proxy, host, requests: upstream.requests };
}

describe("what an upstream says about its own addresses", () => {
  it.each([
    ["an absolute one", (host: string) => `http://${host}/x?y=1`],
    ["one over https, where the upstream speaks http", (host: string) => `https://${host}/x?y=1`],
    ["one without a scheme", (host: string) => `//${host}/x?y=1`],
    ["one with a user", (host: string) => `http://me:secret@${host}/x?y=1`],
    ["a path", () => "/x?y=1"],
    ["a relative one", () => "x?y=1"],
  ])("keeps a client that follows a redirect at the meter: %s", async (_, location) => {
    const { proxy, requests } = await startSite({ "/old": (host) => [307, { location: location(host) }] });
    const response = await fetch(`${proxy.origin}/old`, { method: "POST", body: "twice" });
    expect(await response.text()).toBe("this is /x?y=1");
    expect(response.url).toBe(`${proxy.origin}/x?y=1`);
    const via = `1.1 ${proxy.server.pseudonym}`;
    expect(requests.map((request) => request.headers.via)).toEqual([via, via]);
    expect(proxy.usage("a")).toMatchObject({ apiRequests: 2, ingressBytes: 10 });
  });

  it.each([
    ["an absolute one", (host: string) => `http://${host}/base/x`],
    ["a path", () => "/base/x"],
    ["a relative one", () => "../x"],
  ])("leads to the same resource where the upstream's URL has a path: %s", async (_, location) => {
    const { proxy, requests } = await startSite(
      { "/base/old/": (host) => [302, { location: location(host) }] },
      { base: "/base/" },
    );
    expect(await (await fetch(`${proxy.origin}/old/`)).text()).toBe("this is /base/x");
    expect(requests.map((request) => request.url)).toEqual(["/base/old/", "/base/x"]);
    expect(proxy.usage("a").apiRequests).toBe(2);
  });

  it("leads a client that reads Link from page to page", async () => {
    const { proxy } = await startSite(
      {
        "/v1/items": (host) => [200, { link: `<http://${host}/v1/items?page=2>; rel="next"` }],
        "/v1/items?page=2": (host) => [200, { link: [`</v1/items>; rel="prev"`, `<http://${host}/v1>; rel="up"`] }],
      },
      { base: "/v1" },
    );
    const first = await fetch(`${proxy.origin}/items`);
    const next = /<(.*)>; rel="next"/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
    expect(next).toBe(`${proxy.origin}/items?page=2`);
    const second = await fetch(next);
    expect(second.headers.get("link")).toBe(`</items>; rel="prev", <${proxy.origin}/>; rel="up"`);
    expect(proxy.usage("a").apiRequests).toBe(2);
  });

  it("becomes the address that the client used, as a proxy in front says that is, where it is trusted", async () => {
    const pages = { "/": (host: string) => [201, { location: `http://${host}/x` }] as const };
    const headers = { host: "inner:8080", "x-forwarded-host": "api.example.com", "x-forwarded-proto": "https" };
    const trusting = await startSite(pages, { trustedProxies: ["127.0.0.0/8"] });
    expect((await send(trusting.proxy.port, "/", { headers })).headers.location).toBe("https://api.example.com/x");
    const other = await startSite(pages);
    expect((await send(other.proxy.port, "/", { headers })).headers.location).toBe("http://inner:8080/x");
    const odd = await send(other.proxy.port, "/", { headers: { host: "a b<>" } });
    expect(odd.headers.location).toBe("/x");
  });

  it("is a path for a client that names no host", async () => {
    const { proxy } = await startSite({ "/": (host) => [201, { location: `http://${host}/x` }] });
    const client = await dial(proxy.port, "GET / HTTP/1.0\r\n\r\n");
    expect(await client.until("this is /")).toContain("\r\nlocation: /x\r\n");
    client.socket.destroy();
  });

  it("is found in every header that has it, and nothing else of them is touched", async () => {
    const { proxy, host } = await startSite({
      "/": (own) => [
        401,
        {
          "alt-svc": `h3=":443"; ma=86400, h2="${own}"`,
          "content-location": `http://${own}/real`,
          "operation-location": `http://${own}/jobs/1`,
          "set-cookie": ["a=1; Path=/; Secure", "b=2; Domain=example.org"],
          "www-authenticate": [`Bearer realm="http://${own}/token",service="${own}"`, "Basic"],
          "x-served-by": own,
          "strict-transport-security": "max-age=300",
          refresh: `1; url=http://${own}/again`,
        },
      ],
    });
    const { headers } = await send(proxy.port, "/");
    expect(headers["alt-svc"]).toBeUndefined();
    expect(headers).toMatchObject({
      "content-location": `${proxy.origin}/real`,
      "operation-location": `${proxy.origin}/jobs/1`,
      "set-cookie": ["a=1; Path=/; Secure", "b=2; Domain=example.org"],
      "www-authenticate": `Bearer realm="${proxy.origin}/token",service="${host}", Basic`,
      "x-served-by": host,
      "strict-transport-security": "max-age=300",
      refresh: "1; url=/again",
    });
  });

  it("passes byte for byte in bodies, and so do addresses of others", async () => {
    const upstream = await startUpstream((_request, response) => {
      const own = `127.0.0.1:${upstream.port}`;
      response.writeHead(302, { location: "http://other.example/a%2e%2E?b=c d" }).end(`{"next":"http://${own}/x"}`);
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const reply = await send(proxy.port, "/");
    expect(reply.headers.location).toBe("http://other.example/a%2e%2E?b=c d");
    expect(reply.text).toBe(`{"next":"http://127.0.0.1:${upstream.port}/x"}`);
  });
});
