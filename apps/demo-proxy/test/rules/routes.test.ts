import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { beforeAll, describe, expect, it } from "vitest";
import type { ProxyConfig, RouteConfig } from "../../src/config/proxy-config.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import type { ProxyApp } from "../../src/proxy-app.ts";
import { RouteTable } from "../../src/rules/route-table.ts";
import { lastingConfig, type NamedUpstream, startLasting, startNamedUpstreams } from "../support/rules.ts";

const CHAT: RouteConfig = { match: { path: ["/v1/*"] }, backends: ["chat"] };
const ADMIN: RouteConfig = { match: { path: ["/admin/*", "/caf%c3%a9"] }, backends: ["admin"] };
const REST: RouteConfig = { backends: ["rest"] };

function poolOf(path: string, { method = "GET", host = "a.example" } = {}, routes = [CHAT, ADMIN, REST]): string {
  const pool = new RouteTable(routes, (name) => name).poolOf({ method, path, host });
  return typeof pool === "string" ? pool : pool.join();
}

describe("a rule of routes", () => {
  it.each([
    ["/v1", "chat"],
    ["/v1/", "chat"],
    ["/v1/chat/completions?path=/admin/", "chat"],
    ["/v1?x", "chat"],
    ["/v10/chat", "rest"],
    ["/V1/chat", "rest"],
    ["/", "rest"],
    ["/admin", "admin"],
    ["/caf%C3%A9", "admin"],
    ["/caf%c3%a9", "admin"],
    ["/caf%C3%A9/x", "rest"],
    // What RFC 3986 calls the same path is the same path.
    ["/%61dmin/x", "admin"],
    ["/v1/a%20b", "chat"],
    ["/v1/a%2Fb//c;d/./e", "chat"],
  ])("takes %s for one of %s", (path, pool) => {
    expect(poolOf(path)).toBe(pool);
  });

  it.each([
    "//admin/x",
    "/./admin/x",
    "/%2e/admin",
    "/x%2f..%2fadmin",
    "/%2fadmin",
    "/\\admin/x",
    "/%5cadmin/x",
    "/admin;a/x",
    "/;x/admin/x",
    "/admin%2fx",
    "/admin%252fx",
    "/%2561dmin/x",
    "/v1/%252e%252e/admin",
    "/v1/x%255c%252e%252e/%252e./admin",
    "/%76%31%2fchat",
    "/v1;/chat",
  ])("does not decide how a backend reads %s", (path) => {
    expect(poolOf(path)).toBe("ambiguous");
  });

  it("decides the same of every path whose readings one rule is for", () => {
    for (const path of ["//admin/x", "/%2e/admin", "/admin%252fx"]) expect(poolOf(path, {}, [REST])).toBe("rest");
  });

  it.each([
    ["api.example.com", "one"],
    ["API.Example.com:8080", "one"],
    ["api.example.com.", "one"],
    ["example.com", "none"],
    ["a.b.example.com", "any"],
    ["evil-example.com", "none"],
    ["example.com@api.example.com", "none"],
    ["api.example.com, b", "none"],
    ["[::1]:80", "six"],
    ["", "none"],
  ])("takes %j for a host of %s", (host, pool) => {
    const routes: RouteConfig[] = [
      { match: { host: ["api.example.com"] }, backends: ["one"] },
      { match: { host: ["*.example.com"] }, backends: ["any"] },
      { match: { host: ["[::1]"] }, backends: ["six"] },
    ];
    expect(poolOf("/", { host }, routes)).toBe(pool);
  });

  it("is for one of its methods, on one of its paths", () => {
    const routes: RouteConfig[] = [
      { match: { method: ["GET", "HEAD"], path: ["/a", "/b/*"] }, backends: ["read"] },
      { match: { method: ["PUT"] }, backends: ["write"] },
    ];
    expect(["GET", "HEAD", "PUT", "POST"].map((method) => poolOf("/b/c", { method }, routes))).toEqual([
      "read",
      "read",
      "write",
      "none",
    ]);
    expect(poolOf("/c", {}, routes)).toBe("none");
  });
});

describe("a proxy with routes", () => {
  let upstreams: ReadonlyMap<string, NamedUpstream>;
  let app: ProxyApp;
  let origin: string;
  let config: ProxyConfig;

  beforeAll(async () => {
    upstreams = await startNamedUpstreams("a", "b", "c");
    const url = (name: string) => upstreams.get(name)?.url.href;
    config = lastingConfig(`
backends:
- { name: a, url: "${url("a")}", limits: { apiRequests: 2 } }
- { name: b, url: "${url("b")}" }
- { name: c, url: "${url("c")}" }
routes:
- { match: { host: pool.example }, backends: [b, a] }
- { match: { path: /v1/* }, backends: [a, b] }
- { match: { path: /c }, backends: [c] }`);
    ({ app, origin } = await startLasting(config));
  });

  const served = async (path: string, headers: Record<string, string> = {}): Promise<string> => {
    const response = await fetch(origin + path, { headers });
    return response.ok ? response.text() : `${response.status} ${await response.text()}`;
  };

  it("packs and fails over within a rule's backends, in the rule's order, and never beyond them", async () => {
    expect([await served("/v1/1"), await served("/v1/2"), await served("/v1/3")]).toEqual(["a", "a", "b"]);
    const b = app.router.upstreams.find(({ name }) => name === "b") ?? expect.unreachable();
    b.draining = true;
    const full = await fetch(`${origin}/v1/4`);
    expect([full.status, ((await full.json()) as { reason: string }).reason]).toEqual([429, "limit"]);
    b.draining = false;
    expect(await served("/c")).toBe("c");
  });

  it("goes by the host that was asked for", async () => {
    const { port } = new URL(origin);
    const ask = async (head: string) => {
      const socket = connect(Number(port), "127.0.0.1");
      socket.write(`${head}\r\nconnection: close\r\n\r\n`);
      return (await text(socket)).split("\r\n\r\n").at(-1);
    };
    expect(await ask("GET /c HTTP/1.1\r\nhost: pool.example:80")).toBe("b");
    // The authority of an absolute target stands in the place of Host (RFC 9112, section 3.2.2).
    expect(await ask("GET http://pool.example/c HTTP/1.1\r\nhost: other.example")).toBe("b");
    expect(await ask("GET http://other.example/c HTTP/1.1\r\nhost: pool.example")).toBe("c");
  });

  it("refuses what no rule is for, in the words of who asks", async () => {
    const refused = await fetch(`${origin}/elsewhere`);
    expect(refused.status).toBe(404);
    expect(await refused.json()).toMatchObject({
      status: 404,
      reason: "no-route",
      detail: expect.stringContaining("No rule"),
    });
    const s3 = await fetch(`${origin}/bucket/key`, { headers: { "x-amz-date": "20260101T000000Z" } });
    expect(s3.headers.get("content-type")).toBe("application/xml");
    expect(await s3.text()).toContain("<Code>NoSuchBucket</Code>");
    const tricky = await fetch(`${origin}/%2fc`);
    expect([tricky.status, ((await tricky.json()) as { reason: string }).reason]).toEqual([400, "ambiguous-path"]);
    expect(upstreams.get("c")?.asked.filter((path) => path !== "/c")).toEqual([]);
  });

  it("takes over other rules while it runs", async () => {
    app.tracker.record("a", { apiRequests: 2 });
    const change = await app.live.take(async () => ({ ...config, routes: [{ backends: ["c", "a", "b"] }] }));
    expect(change.needRestart).toEqual([]);
    expect(await served("/elsewhere")).toBe("c");
    const { routes: _, ...without } = config;
    await app.live.take(async () => without);
    // In the order of the backends: a is used up.
    expect(await served("/elsewhere")).toBe("b");
    await app.live.take(async () => config);
    expect((await fetch(`${origin}/elsewhere`)).status).toBe(404);
  });
});

describe("a configuration with routes", () => {
  const complaintsOf = (text: string): string => {
    try {
      parseConfig(text, { file: "p.yaml", folder: "/" });
    } catch (error) {
      return String(error);
    }
    return "none";
  };
  const backends = "backends: [{ name: oci, url: http://a }, { name: b2, url: http://b }]";

  it.each([
    [
      "routes: [{ backends: [ocl, b2] }]",
      'p.yaml:2:23 routes[0].backends[0]: "ocl" is no backend, did you mean oci? there are: oci, b2',
    ],
    ["routes: [{ backends: [oci] }]", 'p.yaml:1:50 backends[1].name: "b2" is in no rule of routes'],
    ["routes: [{ backends: [oci, b2, oci] }]", 'routes[0].backends[2]: "oci" is named twice'],
    [
      "routes: [{ backends: [oci] }, { match: { path: /x }, backends: [b2] }]",
      "p.yaml:2:10 routes[0]: is for every request",
    ],
    ["routes: [{ match: { path: v1 }, backends: [oci, b2] }]", "routes[0].match.path[0]: a path begins with a slash"],
    ["routes: [{ match: { path: /v1* }, backends: [oci, b2] }]", "a * stands at the end, after a slash"],
    ["routes: [{ match: { path: /a/../b }, backends: [oci, b2] }]", "expected a plain path"],
    ["routes: [{ match: { host: 'x.example:80' }, backends: [oci, b2] }]", "a host without a port"],
    ["routes: [{ match: { host: 'x.*.example' }, backends: [oci, b2] }]", "a * stands at the beginning"],
    ["routes: [{ match: { method: [GETT] }, backends: [oci, b2] }]", '"GETT" is no method, did you mean GET?'],
    [
      "routes: [{ match: { paths: /x }, backends: [oci, b2] }]",
      "routes[0].match.paths: unknown key, did you mean path?",
    ],
    ["routes: []", "give at least one rule"],
    ["routes: [{ match: { path: /x } }]", "routes[0].backends: is missing"],
  ])("says what is wrong with %s", (routes, complaint) => {
    expect(complaintsOf(`${backends}\n${routes}`)).toContain(complaint);
  });

  it("takes one or more of each, methods in any case", () => {
    const text = `${backends}\nroutes: [{ match: { host: '*.example', path: [/a, /b/*], method: get }, backends: [b2, oci] }]`;
    expect(parseConfig(text, { file: "p.yaml", folder: "/" }).routes).toEqual([
      { match: { host: ["*.example"], path: ["/a", "/b/*"], method: ["GET"] }, backends: ["b2", "oci"] },
    ]);
  });
});
