import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { loadConfig, parseConfig } from "../../src/config/read-config.ts";

const BACKEND = "backends: [{ name: oci, url: 'http://127.0.0.1:9001' }]";

function parse(text: string, env: Record<string, string> = {}): ProxyConfig {
  return parseConfig(text, { file: "proxy.yaml", folder: "/here", env });
}

/** A list of nine lists of nine lists and so on. */
function aliasBomb(): string {
  const nine = (name: string) => `[${Array(9).fill(name).join(", ")}]`;
  const levels = [1, 2, 3, 4, 5].map((level) => `l${level}: &l${level} ${nine(level === 1 ? "x" : `*l${level - 1}`)}`);
  return `${levels.join("\n")}\n${BACKEND}`;
}

/** The complaints about a text, one a line. */
function complaints(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  return [];
}

describe("a configuration that names nothing but backends", () => {
  it("has the documented defaults", () => {
    expect(parse(BACKEND)).toEqual({
      listen: { host: "127.0.0.1", port: 8080 },
      admin: { listen: { host: "127.0.0.1", port: 8081 } },
      counter: { kind: "local" },
      store: { kind: "sqlite", file: "/here/usage.db" },
      flush: { intervalMs: 1_000, nearLimitIntervalMs: 1_000, nearLimitRatio: 0.8, timeoutMs: 30_000 },
      routing: "pack",
      timeouts: { connectMs: 5_000, headersMs: 60_000, idleMs: 60_000, keepAliveMs: 65_000 },
      heads: { requestBytes: 16_384, responseBytes: 16_384 },
      shutdown: { drainDelayMs: 0, graceMs: 10_000 },
      trustedProxies: [],
      log: { level: "info", access: false },
      backends: [{ name: "oci", url: new URL("http://127.0.0.1:9001"), host: "upstream", limits: {} }],
      thresholds: [0.5, 0.8, 1],
      webhooks: [],
    });
  });

  it("flushes to Postgres every 30 s, near a limit every 5 s", () => {
    const { flush } = parse(`${BACKEND}\nstore: { kind: postgres, url: 'postgres://u@h/db' }`);
    expect(flush).toMatchObject({ intervalMs: 30_000, nearLimitIntervalMs: 5_000 });
  });

  it("never flushes less often near a limit than elsewhere", () => {
    expect(parse(`${BACKEND}\nflush: { intervalMs: 200 }`).flush.nearLimitIntervalMs).toBe(200);
  });
});

describe("a configuration", () => {
  it("takes every setting", () => {
    const config = parse(`
listen: "[::1]:8088"
admin: { listen: 0.0.0.0:9, token: "s3cret!-16-signs", urls: ["https://ops.example.com/usage", "http://x:8443"] }
counter: { kind: local }
store: { kind: sqlite, file: data/usage.db }
flush: { intervalMs: 2000, nearLimitIntervalMs: 500, nearLimitRatio: 1, timeoutMs: 100 }
routing: spread
timeouts: { connectMs: 1, headersMs: 2, idleMs: 3, keepAliveMs: 4 }
heads: { requestBytes: 1KiB, responseBytes: 1MiB }
shutdown: { drainDelayMs: 5, graceMs: 0 }
trustedProxies: [127.0.0.0/8, "::1", fd00::/8]
cors: { origins: [https://app.example.com, "http://localhost:3000", chrome-extension://abc], credentials: true }
log: { level: warn, access: true }
backends:
  - name: __proto__
    url: https://s3.example.com/bucket/
    host: preserve
    limits: { apiRequests: 50000, egressBytes: 1.5 GiB, ingressBytes: 0 }
    thresholds: [0.9]
thresholds: [1, 0.25]
webhooks: [{ name: ops, url: "https://h/x", headers: { X-A: b }, secret: whsec_${"A".repeat(32)}, format: slack }]
`);
    expect(config).toEqual({
      listen: { host: "::1", port: 8088 },
      admin: {
        listen: { host: "0.0.0.0", port: 9 },
        token: "s3cret!-16-signs",
        urls: ["https://ops.example.com/usage/", "http://x:8443/"],
      },
      counter: { kind: "local" },
      store: { kind: "sqlite", file: "/here/data/usage.db" },
      flush: { intervalMs: 2_000, nearLimitIntervalMs: 500, nearLimitRatio: 1, timeoutMs: 100 },
      routing: "spread",
      timeouts: { connectMs: 1, headersMs: 2, idleMs: 3, keepAliveMs: 4 },
      heads: { requestBytes: 1_024, responseBytes: 1_048_576 },
      shutdown: { drainDelayMs: 5, graceMs: 0 },
      trustedProxies: ["127.0.0.0/8", "::1", "fd00::/8"],
      cors: {
        origins: ["https://app.example.com", "http://localhost:3000", "chrome-extension://abc"],
        credentials: true,
      },
      log: { level: "warn", access: true },
      backends: [
        {
          name: "__proto__",
          url: new URL("https://s3.example.com/bucket/"),
          host: "preserve",
          limits: { apiRequests: 50_000, egressBytes: 1_610_612_736, ingressBytes: 0 },
          thresholds: [0.9],
        },
      ],
      thresholds: [0.25, 1],
      webhooks: [
        {
          name: "ops",
          url: new URL("https://h/x"),
          headers: { "X-A": "b" },
          secret: `whsec_${"A".repeat(32)}`,
          format: "slack",
        },
      ],
    });
  });

  it.each<[string, ProxyConfig["counter"]]>([
    ["{ kind: redis, url: 'redis://127.0.0.1' }", { kind: "redis", url: "redis://127.0.0.1", prefix: "usage" }],
    [
      "{ kind: redis, url: 'rediss://u:p%40%23@[::1]:6380/7', prefix: my:usage }",
      { kind: "redis", url: "rediss://u:p%40%23@[::1]:6380/7", prefix: "my:usage" },
    ],
    [
      "{ kind: redis, cluster: ['redis://:p@a:1', 'redis://:p@b:2/'] }",
      { kind: "redis", cluster: ["redis://:p@a:1", "redis://:p@b:2/"], prefix: "usage" },
    ],
    [
      "{ kind: redis, url: 'redis://h', enforcement: exact }",
      { kind: "redis", url: "redis://h", prefix: "usage", enforcement: "exact" },
    ],
    [
      "{ kind: redis, url: 'redis://h', enforcement: exact, waitMs: 0 }",
      { kind: "redis", url: "redis://h", prefix: "usage", enforcement: "exact", waitMs: 0 },
    ],
    ["{ kind: local, enforcement: exact }", { kind: "local", enforcement: "exact" }],
  ])("takes a counter: %s", (yaml, counter) => {
    expect(parse(`${BACKEND}\ncounter: ${yaml}`).counter).toEqual(counter);
  });

  it("leaves an absolute path of the SQLite file as it is", () => {
    expect(parse(`${BACKEND}\nstore: { kind: sqlite, file: /var/lib/usage.db }`).store).toEqual({
      kind: "sqlite",
      file: "/var/lib/usage.db",
    });
  });
});

describe("a token", () => {
  it.each([
    ["127.0.0.1:1", "s3cret"],
    ["'[::1]:1'", "s3cret"],
    ["localhost:1", "s3cret"],
    ["0.0.0.0:1", "0123456789abcdef"],
    ["admin.internal:1", "0123456789abcdef"],
  ])("on %s may be %s", (listen, token) => {
    expect(parse(`${BACKEND}\nadmin: { listen: ${listen}, token: ${token} }`).admin.token).toBe(token);
  });
});

describe("a configuration with a mistake is refused with the line, the column, the path and what to do:", () => {
  it.each([
    ["an empty file", "", "proxy.yaml: is empty; give at least backends, each with a name and a url"],
    ["only comments", "# nothing\n", "proxy.yaml: is empty; give at least backends, each with a name and a url"],
    ["a list", "- a", "proxy.yaml:1:1: expected a map with listen, tls, admin, counter"],
    ["no backends", "listen: 127.0.0.1:1", "proxy.yaml:1:1 backends: is missing; give a list of backends"],
    ["an empty list of backends", "backends: []", "proxy.yaml:1:11 backends: name at least one backend"],
    ["nothing after a key", "backends:\n", "proxy.yaml:1:10 backends: is empty; give a list of backends"],
    ["a wrong type", `${BACKEND}\nlisten: 8080`, "proxy.yaml:2:9 listen: expected host:port, such as 127.0.0.1:8080"],
    ["a port above 65535", `${BACKEND}\nlisten: a:65536`, "proxy.yaml:2:9 listen: expected host:port"],
    ["a misspelled key", `${BACKEND}\nrouteing: pack`, "proxy.yaml:2:1 routeing: unknown key, did you mean routing?"],
    ["an unknown key", `${BACKEND}\nflush: { x: 1 }`, "proxy.yaml:2:10 flush.x: unknown key; known here: intervalMs,"],
    ["__proto__ as a key", `${BACKEND}\nflush: { __proto__: 1 }`, "proxy.yaml:2:10 flush.__proto__: unknown key;"],
    [
      "__proto__ as a dimension",
      `${BACKEND}\ndimensions: { __proto__: r2-class-a }`,
      "proxy.yaml:2:26 dimensions.__proto__: cannot be a name here; give it another one",
    ],
    [
      "__proto__ as a plan",
      `${BACKEND}\nplans: { __proto__: {} }`,
      "proxy.yaml:2:21 plans.__proto__: cannot be a name",
    ],
    [
      "a limit of __proto__",
      "backends: [{ name: a, url: 'http://a', limits: { __proto__: 5 } }]",
      "proxy.yaml:1:61 backends[0].limits.__proto__: cannot be a name",
    ],
    ["an unknown kind", `${BACKEND}\ncounter: { kind: disk }`, "proxy.yaml:2:18 counter.kind: expected local or redis"],
    ["no kind", `${BACKEND}\nstore: { file: x }`, "proxy.yaml:2:8 store.kind: is missing; give sqlite or postgres"],
    [
      "a Host policy that there is not",
      "backends: [{ name: a, url: 'http://a', host: client }]",
      'proxy.yaml:1:46 backends[0].host: expected upstream or preserve, got "client"',
    ],
    [
      "a network that is none",
      `${BACKEND}\ntrustedProxies: [10.0.0.0/8, 10.0.0.0/33]`,
      "proxy.yaml:2:30 trustedProxies[1]: expected an IP address, or a network such as 10.0.0.0/8 or fd00::/8",
    ],
    [
      "a name for a network",
      `${BACKEND}\ntrustedProxies: [loopback]`,
      "proxy.yaml:2:18 trustedProxies[0]: expected an IP address, or a network",
    ],
    [
      "one network without a list",
      `${BACKEND}\ntrustedProxies: 10.0.0.0/8`,
      "proxy.yaml:2:17 trustedProxies: expected a list",
    ],
    [
      "an origin with a path",
      `${BACKEND}\ncors: { origins: [https://a/] }`,
      "proxy.yaml:2:19 cors.origins[0]: expected an origin",
    ],
    [
      "an origin with its default port",
      `${BACKEND}\ncors: { origins: ["https://a:443"] }`,
      "proxy.yaml:2:19 cors.origins[0]: browsers write this origin as https://a",
    ],
    [
      "an origin in upper case",
      `${BACKEND}\ncors: { origins: [https://A] }`,
      "proxy.yaml:2:19 cors.origins[0]: browsers write this origin as https://a",
    ],
    [
      "an origin with a star",
      `${BACKEND}\ncors: { origins: ["https://*.a"] }`,
      "proxy.yaml:2:19 cors.origins[0]: expected an origin",
    ],
    [
      "no origins",
      `${BACKEND}\ncors: { origins: [] }`,
      'proxy.yaml:2:18 cors.origins: expected a list of origins such as https://app.example.com, or "*" for all',
    ],
    [
      "cookies for all origins",
      `${BACKEND}\ncors: { origins: "*", credentials: true }`,
      "proxy.yaml:2:36 cors.credentials: is for listed origins only: browsers do not take * for requests with cookies",
    ],
    [
      "a setting of another kind",
      `${BACKEND}\nstore: { kind: sqlite, file: x, url: x }`,
      "proxy.yaml:2:33 store.url: unknown key;",
    ],
    [
      "Redis without an address",
      `${BACKEND}\ncounter: { kind: redis }`,
      "proxy.yaml:2:10 counter.url: is missing; give url for one server, cluster for a Redis Cluster, sentinel for Sentinels, or socket",
    ],
    [
      "Redis with two kinds of address",
      `${BACKEND}\ncounter: { kind: redis, url: 'redis://h', cluster: ['redis://h'] }`,
      "proxy.yaml:2:52 counter.cluster: cannot stand beside url; give url for one server, cluster for a Redis Cluster, sentinel for Sentinels, or socket",
    ],
    [
      "limits that are neither exact nor approximate",
      `${BACKEND}\ncounter: { kind: redis, url: 'redis://h', enforcement: strict }`,
      'proxy.yaml:2:56 counter.enforcement: expected exact or approximate, got "strict"',
    ],
    [
      "a wait for limits that are not exact",
      `${BACKEND}\ncounter: { kind: redis, url: 'redis://h', waitMs: 5 }`,
      "proxy.yaml:2:51 counter.waitMs: is for enforcement: exact, where room may be with other proxies; leave it out",
    ],
    [
      "a wait that is too long",
      `${BACKEND}\ncounter: { kind: redis, url: 'redis://h', enforcement: exact, waitMs: 60001 }`,
      "proxy.yaml:2:71 counter.waitMs: expected a whole number of milliseconds from 0 to 60000",
    ],
    [
      "a wait on a counter that nobody shares",
      `${BACKEND}\ncounter: { kind: local, enforcement: exact, waitMs: 5 }`,
      "proxy.yaml:2:45 counter.waitMs: unknown key;",
    ],
    [
      "an address of Redis on a local counter",
      `${BACKEND}\ncounter: { kind: local, url: 'redis://h' }`,
      "proxy.yaml:2:25 counter.url: unknown key;",
    ],
    [
      "an empty address of Redis",
      `${BACKEND}\ncounter: { kind: redis, url: }`,
      "proxy.yaml:2:30 counter.url: is empty; give an address such as redis://user:password@127.0.0.1:6379",
    ],
    ["no URL", `${BACKEND}\ncounter: { kind: redis, url: 'h:6379:1' }`, "proxy.yaml:2:30 counter.url: expected"],
    [
      "another scheme than that of Redis",
      `${BACKEND}\ncounter: { kind: redis, url: 'http://h:6379' }`,
      "proxy.yaml:2:30 counter.url: expected redis://, or rediss:// for TLS",
    ],
    [
      "no host",
      `${BACKEND}\ncounter: { kind: redis, url: 'redis:///0' }`,
      "proxy.yaml:2:30 counter.url: expected an address",
    ],
    [
      "a database that is no number",
      `${BACKEND}\ncounter: { kind: redis, url: 'redis://h/usage' }`,
      "proxy.yaml:2:30 counter.url: expected nothing but the number of a database after the host",
    ],
    [
      "options in the address of Redis",
      `${BACKEND}\ncounter: { kind: redis, url: 'redis://h?family=6' }`,
      "proxy.yaml:2:30 counter.url: a query or fragment cannot stand here: write ? as %3F and # as %23 in a password",
    ],
    [
      "an address where a list belongs",
      `${BACKEND}\ncounter: { kind: redis, cluster: 'redis://h' }`,
      "proxy.yaml:2:34 counter.cluster: expected a list with the addresses of some nodes",
    ],
    [
      "a cluster without nodes",
      `${BACKEND}\ncounter: { kind: redis, cluster: [] }`,
      "proxy.yaml:2:34 counter.cluster: expected a list with the addresses of some nodes",
    ],
    [
      "a bad address among others",
      `${BACKEND}\ncounter: { kind: redis, cluster: ['redis://h', 'x'] }`,
      "proxy.yaml:2:48 counter.cluster[1]: expected an address such as redis://",
    ],
    [
      "a numbered database of a cluster",
      `${BACKEND}\ncounter: { kind: redis, cluster: ['redis://h/1'] }`,
      "proxy.yaml:2:35 counter.cluster[0]: a cluster has no numbered databases",
    ],
    [
      "different logins for the nodes of a cluster",
      `${BACKEND}\ncounter: { kind: redis, cluster: ['redis://:a@h', 'redis://:b@h'] }`,
      "proxy.yaml:2:51 counter.cluster[1]: has another scheme, user or password than the first",
    ],
    [
      "a prefix with braces",
      `${BACKEND}\ncounter: { kind: redis, url: 'redis://h', prefix: 'a{b}' }`,
      'proxy.yaml:2:51 counter.prefix: expected 1 to 128 characters without braces and control characters, got "a{b}"',
    ],
    [
      "an empty prefix",
      `${BACKEND}\ncounter: { kind: redis, url: 'redis://h', prefix: '' }`,
      "proxy.yaml:2:51 counter.prefix: ",
    ],
    [
      "an unknown level of the log",
      `${BACKEND}\nlog: { level: loud }`,
      'proxy.yaml:2:15 log.level: expected one of debug, info, warn, error, silent, got "loud"',
    ],
    [
      "an access log that is neither on nor off",
      `${BACKEND}\nlog: { access: sometimes }`,
      'proxy.yaml:2:16 log.access: expected true or false, got "sometimes"',
    ],
    [
      "a fraction of a millisecond",
      `${BACKEND}\nflush: { intervalMs: 0.5 }`,
      "proxy.yaml:2:22 flush.intervalMs: expected a whole",
    ],
    [
      "a delay that no timer takes",
      `${BACKEND}\nflush: { intervalMs: 2147483648 }`,
      "proxy.yaml:2:22 flush.intervalMs: expected",
    ],
    [
      "a ratio above 1",
      `${BACKEND}\nflush: { nearLimitRatio: 80 }`,
      "proxy.yaml:2:26 flush.nearLimitRatio: expected a number",
    ],
    [
      "a longer interval near a limit",
      `${BACKEND}\nflush: { nearLimitIntervalMs: 1001 }`,
      "proxy.yaml:2:31 flush.nearLimitIntervalMs: is longer than intervalMs (1000); give at most as much",
    ],
    [
      "an admin listener for everybody without a token",
      `${BACKEND}\nadmin: { listen: 0.0.0.0:8081 }`,
      "proxy.yaml:2:18 admin.listen: 0.0.0.0:8081 can be reached from other machines: set admin.token, or listen on 127.0.0.1",
    ],
    [
      "a token that others can guess, for everybody",
      `${BACKEND}\nadmin: { listen: 0.0.0.0:8081, token: "012345678901234" }`,
      "proxy.yaml:2:39 admin.token: 0.0.0.0:8081 can be reached from other machines, so this needs at least 16 characters",
    ],
    [
      "the same by IPv6",
      `${BACKEND}\nadmin: { listen: "[::]:8081", token: "s3cret" }`,
      "proxy.yaml:2:38 admin.token: [::]:8081 can be reached from other machines, so this needs at least 16 characters",
    ],
    [
      "a head that is too small for anything",
      `${BACKEND}\nheads: { requestBytes: 1000 }`,
      "proxy.yaml:2:24 heads.requestBytes: expected a size from 1KiB to 1MiB, got 1000",
    ],
    [
      "a head that fills the memory",
      `${BACKEND}\nheads: { responseBytes: 2MiB }`,
      "proxy.yaml:2:25 heads.responseBytes: expected a size from 1KiB to 1MiB, got 2097152",
    ],
    [
      "a grace below nothing",
      `${BACKEND}\nshutdown: { graceMs: -1 }`,
      "proxy.yaml:2:22 shutdown.graceMs: expected a whole number of milliseconds from 0 to 2147483647, got -1",
    ],
    [
      "one address for both listeners",
      `${BACKEND}\nadmin: { listen: 127.0.0.1:8080 }`,
      "proxy.yaml:2:18 admin.listen: is where the proxy itself listens; give it another port",
    ],
    [
      "a number as token",
      `${BACKEND}\nadmin: { token: 12345 }`,
      "proxy.yaml:2:17 admin.token: expected a text; put quotes",
    ],
    [
      "a host where an address belongs",
      `${BACKEND}\nadmin: { urls: [ops.example.com] }`,
      "proxy.yaml:2:17 admin.urls[0]: expected an address such as https://ops.example.com/usage/",
    ],
    [
      "any host at all",
      `${BACKEND}\nadmin: { urls: ["https://*.example.com"] }`,
      "proxy.yaml:2:17 admin.urls[0]: name each host; * stands for none",
    ],
    [
      "a dashboard's address with a query",
      `${BACKEND}\nadmin: { urls: ["https://ops.example.com/?x"] }`,
      "proxy.yaml:2:17 admin.urls[0]: give scheme, host, port and path alone",
    ],
    [
      "a dashboard's address with an odd path",
      `${BACKEND}\nadmin: { urls: ["https://ops.example.com//usage"] }`,
      "proxy.yaml:2:17 admin.urls[0]: expected a path of letters",
    ],
    [
      "one address where a list belongs",
      `${BACKEND}\nadmin: { urls: "https://ops.example.com/" }`,
      "proxy.yaml:2:16 admin.urls: expected a list of addresses",
    ],
    [
      "a bad URL",
      "backends: [{ name: a, url: example.com }]",
      "proxy.yaml:1:28 backends[0].url: expected an address such as",
    ],
    [
      "another scheme",
      "backends: [{ name: a, url: 'ftp://x' }]",
      "proxy.yaml:1:28 backends[0].url: expected http:// or https://",
    ],
    [
      "a query in a URL",
      "backends: [{ name: a, url: 'http://x/?a' }]",
      "proxy.yaml:1:28 backends[0].url: a query or fragment",
    ],
    [
      "an empty name",
      "backends: [{ name: '', url: 'http://x' }]",
      'proxy.yaml:1:20 backends[0].name: "" cannot name a backend',
    ],
    ["a control character", 'backends: [{ name: "a\\u0000", url: "http://x" }]', "proxy.yaml:1:20 backends[0].name: "],
    [
      "a name twice",
      "backends:\n  - { name: a, url: 'http://x' }\n  - { name: a, url: 'http://y' }",
      'proxy.yaml:3:13 backends[1].name: "a" is already the name of backends[0]; each backend needs its own',
    ],
    [
      "a negative limit",
      "backends: [{ name: a, url: 'http://x', limits: { apiRequests: -1 } }]",
      "proxy.yaml:1:63 backends[0].limits.apiRequests: expected a whole number of requests",
    ],
    [
      "a size that is no whole number of bytes",
      "backends: [{ name: a, url: 'http://x', limits: { egressBytes: 1.3KiB } }]",
      "proxy.yaml:1:63 backends[0].limits.egressBytes: a size must be a whole number of bytes",
    ],
    [
      "an unknown dimension",
      "backends: [{ name: a, url: 'http://x', limits: { egressByte: 1 } }]",
      "proxy.yaml:1:50 backends[0].limits.egressByte: unknown key, did you mean egressBytes?",
    ],
    [
      "a key twice",
      `${BACKEND}\nrouting: pack\nrouting: pack`,
      "proxy.yaml:3:1: this key stands here twice; remove one",
    ],
    ["an open bracket", "backends: [", "proxy.yaml:1:12: not valid YAML: "],
    ["a tab", "backends:\n\t- name: a", "proxy.yaml:2:1: not valid YAML: Tabs are not allowed as indentation"],
    ["a second document", `${BACKEND}\n---\n${BACKEND}`, "proxy.yaml:2:1: a second document begins here"],
    ["an unknown tag", `${BACKEND}\nrouting: !pack`, "proxy.yaml:2:10: an unknown tag"],
    ["aliases that fill the memory", aliasBomb(), "proxy.yaml: its aliases (*name) repeat too much"],
    ["an unknown alias", `${BACKEND}\nrouting: *pack`, "proxy.yaml:2:10: an alias (*name) without its anchor"],
  ])("%s", (_, text, complaint) => {
    const [first, ...others] = complaints(text);
    expect(first?.slice(0, complaint.length)).toBe(complaint);
    expect(others).toEqual([]);
  });

  it("all that is wrong with a Redis", () => {
    const text = `${BACKEND}\ncounter: { kind: redis, url: 'http://h', cluster: [x], prefix: '{', retries: 3 }`;
    expect(complaints(text).map((line) => line.split(":", 4).join(":"))).toEqual([
      "proxy.yaml:2:30 counter.url: expected redis",
      "proxy.yaml:2:51 counter.cluster: cannot stand beside url; give url for one server, cluster for a Redis Cluster, sentinel for Sentinels, or socket",
      "proxy.yaml:2:52 counter.cluster[0]: expected an address such as redis",
      'proxy.yaml:2:64 counter.prefix: expected 1 to 128 characters without braces and control characters, got "{"',
      "proxy.yaml:2:69 counter.retries: unknown key; known here",
    ]);
  });

  it("several at once, in the order of the file", () => {
    const text = `
listen: nowhere
admn: {}
backends:
  - name: a
    limits: { apiRequests: many }
  - { name: a, url: "gopher://x" }
`;
    expect(complaints(text).map((line) => line.split(" ", 2).join(" "))).toEqual([
      "proxy.yaml:2:9 listen:",
      "proxy.yaml:3:1 admn:",
      "proxy.yaml:5:5 backends[0].url:",
      "proxy.yaml:6:28 backends[0].limits.apiRequests:",
      "proxy.yaml:7:13 backends[1].name:",
      "proxy.yaml:7:21 backends[1].url:",
    ]);
  });
});

describe("a secret is never part of a complaint:", () => {
  it.each([
    ["a URL's password", "backends: [{ name: a, url: 'https://u:hunter2@x' }]"],
    ["a broken URL's password", "backends: [{ name: a, url: 'https://u:hunter2@x:port' }]"],
    ["a database's password", `${BACKEND}\nstore: { kind: postgres, url: 'postgres://u:hunter2@x:port' }`],
    ["a database where a map belongs", `${BACKEND}\nstore: postgres://u:hunter2@x`],
    ["a database as kind", `${BACKEND}\nstore: { kind: postgres://u:hunter2@x }`],
    ["a Redis's password", `${BACKEND}\ncounter: { kind: redis, url: 'redis://u:hunter2@x:port' }`],
    ["a Redis's password with a sign", `${BACKEND}\ncounter: { kind: redis, url: 'redis://u:hunter2#@x' }`],
    ["a Redis's password with a percent sign", `${BACKEND}\ncounter: { kind: redis, url: 'redis://u:hunter2%@x' }`],
    ["a Redis where a map belongs", `${BACKEND}\ncounter: redis://u:hunter2@x`],
    ["a Redis as kind", `${BACKEND}\ncounter: { kind: redis://u:hunter2@x }`],
    ["a node's password", `${BACKEND}\ncounter: { kind: redis, cluster: [redis://u:hunter2@x/db] }`],
    ["one of two nodes' passwords", `${BACKEND}\ncounter: { kind: redis, cluster: [redis://:hunter2@x, redis://y] }`],
    ["nodes as a text", `${BACKEND}\ncounter: { kind: redis, cluster: redis://:hunter2@x }`],
    ["a token with a space", `${BACKEND}\nadmin: { token: "hunter2 hunter2" }`],
    ["a dashboard's password", `${BACKEND}\nadmin: { urls: ["https://u:hunter2@x/"] }`],
    ["a dashboard's broken password", `${BACKEND}\nadmin: { urls: ["https://u:hunter2@x:port/"] }`],
    ["a dashboard without a list", `${BACKEND}\nadmin: { urls: "https://u:hunter2@x/" }`],
    ["a token where a map belongs", `${BACKEND}\nadmin: hunter2`],
    ["a token as alias", `${BACKEND}\nadmin: { token: *hunter2 }`],
    ["a token as tag", `${BACKEND}\nadmin: { token: !hunter2 }`],
    ["a token as block scalar", `${BACKEND}\nadmin:\n  token: |hunter2\n`],
    ["a token in open quotes", `${BACKEND}\nadmin: { token: "hunter2 }`],
    ["a token with an escape", `${BACKEND}\nadmin: { token: "\\hunter2" }`],
    ["a token with a reserved sign", `${BACKEND}\nadmin: { token: @hunter2 }`],
  ])("%s", (_, text) => {
    const found = complaints(text).join("\n");
    expect(found).toMatch(/^proxy\.yaml:\d/);
    expect(found).not.toContain("unter2");
  });
});

describe("docs/configuration.md", () => {
  it("shows the defaults as they are", async () => {
    const page = await readFile(new URL("../../../../docs/configuration.md", import.meta.url), "utf8");
    const [, yaml = ""] = /```yaml\n(.*?)```/s.exec(page) ?? [];
    const limits = { apiRequests: 50_000, egressBytes: 10_737_418_240, ingressBytes: 500_000_000 };
    const defaults = parse(BACKEND);
    expect(parse(yaml)).toEqual({
      ...defaults,
      backends: defaults.backends.map((backend) => ({ ...backend, limits })),
    });
    const [, secrets = "", repeating = ""] = Array.from(page.matchAll(/```yaml\n(.*?)```/gs), ([, block]) => block);
    const env = { ADMIN_TOKEN: "0123456789abcdef", REDIS_PASSWORD: "x", POSTGRES_PASSWORD: "y" };
    expect(parse(yaml.replace("# token:", "token:"), env).admin.token).toBe("0123456789abcdef");
    expect(parse(yaml.replace("# urls:", "urls:")).admin.urls).toEqual(["https://ops.example.com/usage/"]);
    expect(parse(`${secrets.replace("${file:/run/secrets/postgres}", "x")}${BACKEND}`, env)).toMatchObject({
      admin: { token: "0123456789abcdef" },
      log: { access: false },
    });
    const free = { limits: { apiRequests: 50_000, egressBytes: 10_737_418_240 } };
    expect(parse(repeating).backends).toMatchObject([free, free]);
    const others = Array.from(yaml.matchAll(/^# ((?:counter|store): .*)$/gm), ([, line]) =>
      parse(`${BACKEND}\n${line}`, env),
    );
    expect(others.map(({ counter, store }) => [counter.kind, store.kind])).toEqual([
      ["local", "sqlite"],
      ["redis", "sqlite"],
      ["redis", "sqlite"],
      ["redis", "sqlite"],
      ["redis", "sqlite"],
      ["redis", "sqlite"],
      ["local", "postgres"],
    ]);
  });
});

describe("loadConfig", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "usage-config-"));
    await writeFile(join(folder, "proxy.yaml"), BACKEND);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("reads a file relative to the given folder, which the SQLite file is relative to, too", async () => {
    const config = await loadConfig("proxy.yaml", folder);
    expect(config.store).toEqual({ kind: "sqlite", file: join(folder, "usage.db") });
  });

  it("says so when the file is missing or cannot be read", async () => {
    await expect(loadConfig("nope.yaml", folder)).rejects.toThrow("nope.yaml: cannot be read (ENOENT); check the path");
    await expect(loadConfig(".", folder)).rejects.toThrow(".: cannot be read (EISDIR); check the path");
    await expect(loadConfig("nope.yaml", folder)).rejects.toMatchObject({
      code: "USAGE_PROXY_CONFIG",
      file: "nope.yaml",
    });
  });
});
