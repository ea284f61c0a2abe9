import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type PostgresServer, type RedisServer, startPostgres, startRedis } from "@usage/test-servers";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { compose } from "../src/compose.ts";
import type { ProxyConfig } from "../src/config/proxy-config.ts";
import { parseConfig } from "../src/config/read-config.ts";
import { CERT } from "./proxy/localhost-certificate.ts";
import { startApp, startUpstream, testConfig } from "./support/app.ts";
import { call } from "./support/call.ts";
import { EXPIRED_CERT, OTHER_CERT, OTHER_KEY } from "./support/certificates.ts";
import { NOTHING, report, SOON } from "./support/shared-proxies.ts";
import { tempFolder } from "./support/temp-folder.ts";

/** Less than what is given to a server that may be back soon, and more than a busy machine takes to be refused. */
const AT_ONCE_MS = 3_500;

/** A configuration on free ports by settings for Redis and the store; `ca.pem` is the right authority, `other.pem` another one. */
async function configOf(settings: string): Promise<ProxyConfig> {
  const folder = tempFolder();
  writeFileSync(join(folder, "ca.pem"), OTHER_CERT);
  writeFileSync(join(folder, "other.pem"), CERT);
  const upstream = await startUpstream();
  const { counter, store, backends } = parseConfig(
    `${settings}\nbackends: [{ name: oci-${randomUUID()}, url: "${upstream.url}" }]`,
    {
      file: "t.yaml",
      folder,
    },
  );
  return testConfig(backends, { counter, ...(store.kind === "postgres" && { store }) });
}

describe("Redis", () => {
  let redis: RedisServer;
  let folder: string;
  let tlsPort: number;
  let socket: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "usage-redis-tls-"));
    writeFileSync(join(folder, "cert.pem"), OTHER_CERT);
    writeFileSync(join(folder, "expired.pem"), EXPIRED_CERT);
    writeFileSync(join(folder, "key.pem"), OTHER_KEY);
    tlsPort = await freePort();
    socket = join(folder, "redis.sock");
    redis = await startRedis({
      config: {
        requirepass: "hunter2",
        "tls-port": String(tlsPort),
        "tls-cert-file": join(folder, "cert.pem"),
        "tls-key-file": join(folder, "key.pem"),
        "tls-auth-clients": "no",
        unixsocket: socket,
      },
    });
  });
  afterAll(async () => {
    await redis?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What a proxy counted is shared with another one. */
  async function shares(settings: string): Promise<void> {
    const config = await configOf(`counter: { kind: redis, prefix: "test-${randomUUID()}", ${settings} }`);
    const [one, other] = [await startApp(config), await startApp(config)];
    await call(one.proxy, "/objects/10");
    await vi.waitFor(async () => {
      const usage = { ...NOTHING, apiRequests: 1, egressBytes: 10 };
      expect((await report(other.admin)).backend.usage).toEqual(usage);
    }, SOON);
  }

  it("that speaks TLS is trusted by the ca of the configuration", async () => {
    await shares(`url: "rediss://:hunter2@localhost:${tlsPort}", ca: ca.pem`);
  });

  it("is found by a Sentinel, with passwords of both, that speaks TLS as it does; one that refuses is not waited for", async () => {
    const sentinelPort = await freePort();
    const sentinel = await startRedis({
      sentinel: true,
      config: {
        requirepass: "hunter3",
        "tls-port": String(sentinelPort),
        "tls-cert-file": join(folder, "cert.pem"),
        "tls-key-file": join(folder, "key.pem"),
        "tls-ca-cert-file": join(folder, "cert.pem"),
        "tls-auth-clients": "no",
        "tls-replication": "yes",
        "sentinel monitor": `usage 127.0.0.1 ${tlsPort} 1`,
        "sentinel auth-pass": "usage hunter2",
      },
    });
    onTestFinished(() => sentinel.stop());
    const nodes = `nodes: ["127.0.0.1:${sentinelPort}"]`;
    const found = (node: string) => `sentinel: { ${nodes}, ${node} }, password: hunter2, tls: true, ca: ca.pem`;
    await shares(found("name: usage, password: hunter3"));
    for (const [node, told] of [
      ["name: usage, password: wrong", "refuse the user or password; see those of counter.sentinel"],
      ["name: usage", "demand a password; see counter.sentinel.password"],
      ["name: other, password: hunter3", "know no such master; see counter.sentinel.name"],
    ] as const) {
      const config = await configOf(`counter: { kind: redis, ${found(node)} }`);
      const begun = performance.now();
      await expect(compose(config)).rejects.toThrow(told);
      expect(performance.now() - begun).toBeLessThan(AT_ONCE_MS);
    }
  });

  it("is reached by its socket, with a password and a database, and a wrong one is told", async () => {
    await shares(`socket: "${socket}", password: hunter2, db: 3`);
    expect(await redis.command("INFO", "keyspace")).toContain("db3:");
  });

  it("that is not there, or that nobody vouches for, keeps the proxy from starting, and is told", async () => {
    const starts = [
      `url: "rediss://:hunter2@localhost:${tlsPort}", ca: other.pem`,
      `url: "rediss://:hunter2@localhost:${tlsPort}"`,
      `socket: "${socket}x", password: hunter2`,
    ].map(async (settings) => compose(await configOf(`counter: { kind: redis, ${settings} }`)));
    const told = (await Promise.allSettled(starts)).map((start) => "reason" in start && String(start.reason));
    const untrusted = /self-signed certificate.*: nobody vouches for its certificate; name a file .* in ca/;
    expect(told).toEqual([
      expect.stringMatching(untrusted),
      expect.stringMatching(untrusted),
      expect.stringContaining(`the counter (Redis ${socket}x) cannot be used: connect ENOENT ${socket}x`),
    ]);
  });

  it.each([
    [
      "that nobody vouches for",
      () => `url: "rediss://:hunter2@localhost:${tlsPort}", ca: other.pem`,
      /name a file .* in ca/,
    ],
    [
      "whose certificate is for another name",
      () => `url: "rediss://:hunter2@[::ffff:127.0.0.1]:${tlsPort}", ca: ca.pem`,
      /another name than the host of its url/,
    ],
    [
      "with a wrong password",
      () => `socket: "${socket}", password: wrong`,
      /refuses the user or password; see those of counter/,
    ],
    [
      "without its password",
      () => `url: "rediss://localhost:${tlsPort}", ca: ca.pem`,
      /demands a password; write redis/,
    ],
  ])("%s is not waited for at the start, and the setting to look at is told", async (_, settings, told) => {
    const config = await configOf(`counter: { kind: redis, ${settings()} }`);
    const begun = performance.now();
    await expect(compose(config)).rejects.toThrow(told);
    expect(performance.now() - begun).toBeLessThan(AT_ONCE_MS);
  });

  it("whose certificate has expired is not waited for at the start", async () => {
    await redis.command("CONFIG", "SET", "tls-cert-file", join(folder, "expired.pem"));
    onTestFinished(async () => void (await redis.command("CONFIG", "SET", "tls-cert-file", join(folder, "cert.pem"))));
    const config = await configOf(
      `counter: { kind: redis, url: "rediss://:hunter2@localhost:${tlsPort}", ca: ca.pem }`,
    );
    const begun = performance.now();
    await expect(compose(config)).rejects.toThrow(/its certificate has expired/);
    expect(performance.now() - begun).toBeLessThan(AT_ONCE_MS);
  });
});

describe("Postgres", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
    await speakTls(server);
  });
  afterAll(() => server?.stop());

  it("that speaks TLS is trusted by the ca of the configuration, and by it alone", async () => {
    const url = server.url.replace("127.0.0.1", "localhost");
    const { app, proxy } = await startApp(await configOf(`store: { kind: postgres, url: "${url}", ca: ca.pem }`));
    await call(proxy, "/objects/10");
    await app.flusher.flush();
    expect(await app.store.history({})).toMatchObject([{ usage: { apiRequests: 1, egressBytes: 10 } }]);
    const sql = postgres(server.url, { max: 1 });
    const encrypted = await sql`select count(*)::int as n from pg_stat_ssl join pg_stat_activity using (pid) where ssl`;
    await sql.end();
    expect(encrypted[0]?.n).toBeGreaterThan(0);
    const wrong = await configOf(`store: { kind: postgres, url: "${url}", ca: other.pem }`);
    await expect(compose(wrong)).rejects.toThrow(/self-signed certificate.*; see store\.ca/);
  });

  it.each([
    ["certificate is for another name", (url: string) => url.replace("127.0.0.1", "[::ffff:127.0.0.1]"), "store.ca"],
    ["user does not exist", (url: string) => withUser(url, "nobody"), "the user and password in store.url"],
    [
      "user may not create what it needs",
      (url: string) => withUser(url, "limited"),
      "the user and password in store.url",
    ],
  ])("whose %s is not waited for at the start, and the setting to look at is told", async (_, changed, told) => {
    const sql = postgres(server.url, { max: 1, onnotice: () => {} });
    await sql.unsafe(
      "drop role if exists limited; create role limited login; revoke create on schema public from public",
    );
    await sql.end();
    const config = await configOf(`store: { kind: postgres, url: "${changed(server.url)}", ca: ca.pem }`);
    const begun = performance.now();
    await expect(compose(config)).rejects.toThrow(told);
    expect(performance.now() - begun).toBeLessThan(AT_ONCE_MS);
  });
});

function withUser(url: string, user: string): string {
  return Object.assign(new URL(url), { username: user, hostname: "localhost" }).href;
}

async function speakTls({ url, folder }: PostgresServer): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => {} });
  for (const [name, text] of Object.entries({ "server.crt": OTHER_CERT, "server.key": OTHER_KEY })) {
    const [object] = await client`select lo_from_bytea(0, ${Buffer.from(text)}) as id`;
    await client`select lo_export(${object?.id}, ${join(folder, name)})`;
  }
  await client.unsafe(`copy (select 1) to program 'chmod 600 server.key'`);
  await client.unsafe("alter system set ssl = on");
  await client`select pg_reload_conf()`;
  await client.end();
  // It takes a moment until the server has read its files again.
  await vi.waitFor(async () => {
    const sql = postgres(url, { max: 1, ssl: { rejectUnauthorized: false }, connect_timeout: 2 });
    await sql`select 1`.finally(() => sql.end());
  }, SOON);
}
