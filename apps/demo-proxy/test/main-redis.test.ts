import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "node:tls";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { keyOf } from "./clients/client-fixture.ts";
import { CERT, KEY } from "./proxy/localhost-certificate.ts";
import { startUpstream } from "./support/app.ts";
import { call } from "./support/call.ts";
import { Child } from "./support/child.ts";
import { startProxy, writeConfig } from "./support/running-proxy.ts";
import { countsKey, NOTHING, report, type Servers, SOON, startTraffic, sumsIn } from "./support/shared-proxies.ts";
import { tempFolder } from "./support/temp-folder.ts";

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

/** A folder with a configuration of a backend whose counts no other test shares. */
function folderFor(
  upstream: URL,
  shared: { readonly name: string; readonly prefix: string },
  flush: string,
  more = "",
): string {
  const folder = tempFolder();
  writeConfig(
    folder,
    `counter: { kind: redis, url: "${servers.redis.url}", prefix: ${shared.prefix} }
store: { kind: postgres, url: "${servers.postgres.url}" }
flush: ${flush}
backends: [{ name: ${shared.name}, url: "${upstream.href}" }]
${more}`,
  );
  return folder;
}

function own() {
  return { name: `oci-${randomUUID()}`, prefix: `test-${randomUUID()}` };
}

describe("a proxy that is killed under load", () => {
  it("has what it shared stored by another one, at its second flush", async () => {
    const upstream = await startUpstream();
    const shared = own();
    // The victim flushes never: whatever is stored of it, somebody else stores.
    const victim = await startProxy(folderFor(upstream.url, shared, "{ intervalMs: 2147483647 }"));
    const survivor = await startProxy(folderFor(upstream.url, shared, "{ intervalMs: 300 }"));
    const load = [victim, survivor].map(({ proxy }) => startTraffic(proxy, 300));
    await sleep(1_000);
    const victimsShare = await report(victim.admin);
    victim.child.signal("SIGKILL");
    expect(await victim.child.exit()).toBe("SIGKILL");
    // The dead push nothing: all that Redis has of it now is all that it ever shared.
    const atDeath = await sumsIn(servers.redis, countsKey(shared.prefix, shared.name));
    expect(victimsShare.store.lastFlush).toBeNull();
    await sleep(500);
    for (const traffic of load) await traffic.stop();
    expect(load[1]?.answers().failed).toBe(0);

    const measured = upstream.measured();
    await using store = await openPostgresStore(servers.postgres.url);
    const stored = async () => (await store.history({ backend: shared.name }))[0]?.usage ?? {};
    const { backend } = await report(survivor.admin);
    expect(backend.usage.apiRequests).toBeGreaterThanOrEqual(atDeath.apiRequests ?? Number.NaN);
    await vi.waitFor(
      async () => expect(await stored()).toEqual(await sumsIn(servers.redis, countsKey(shared.prefix, shared.name))),
      SOON,
    );
    survivor.child.signal("SIGTERM");
    expect(await survivor.child.exit()).toBe(0);
    const { apiRequests = 0, egressBytes = 0 } = await stored();
    expect(apiRequests).toBeGreaterThanOrEqual(atDeath.apiRequests ?? Number.NaN);
    expect(apiRequests).toBeLessThanOrEqual(measured.apiRequests);
    expect(egressBytes).toBeLessThanOrEqual(measured.egressBytes);
    // On a busy machine, a reply of Redis can be late.
    const complaints = survivor.child.errors.trimEnd().split("\n");
    expect(complaints.filter((line) => line !== "" && !line.includes('"event":"redis-away"'))).toEqual([]);
  });

  it("has what it shared of its clients stored by another one: of each at most what it was answered, and all that was shared", async () => {
    const upstream = await startUpstream();
    const shared = own();
    const names = ["acme", "zeta"].map((name) => `${name}-${randomUUID()}`);
    const clients = names.map(
      (name) => `{ name: ${name}, key: ${keyOf(name)}, limits: { month: { apiRequests: 100000 } } }`,
    );
    const settings = `clients: [${clients.join(", ")}]`;
    const victim = await startProxy(folderFor(upstream.url, shared, "{ intervalMs: 2147483647 }", settings));
    const survivor = await startProxy(folderFor(upstream.url, shared, "{ intervalMs: 300 }", settings));
    const answered = new Map(names.map((name) => [name, 0]));
    let isOver = false;
    const ask = async (name: string): Promise<void> => {
      while (!isOver) {
        const headers = { authorization: `Bearer ${keyOf(name)}` };
        const reply = await call(victim.proxy, "/objects/10", { headers }).catch(() => undefined);
        if (reply?.status !== 200) return;
        answered.set(name, (answered.get(name) ?? 0) + 1);
      }
    };
    const load = names.map(ask);
    const ofClient = (name: string) => sumsIn(servers.redis, countsKey(`${shared.prefix}:clients`, name));
    await vi.waitFor(async () => {
      for (const name of names) expect((await ofClient(name)).apiRequests).toBeGreaterThan(50);
    }, SOON);
    victim.child.signal("SIGKILL");
    expect(await victim.child.exit()).toBe("SIGKILL");
    isOver = true;
    await Promise.all(load);
    const atDeath = new Map<string, Record<string, number>>();
    for (const name of names) atDeath.set(name, await ofClient(name));
    await using store = await openPostgresStore(servers.postgres.url, { prefix: "usage_clients_" });
    for (const name of names) {
      const { apiRequests = Number.NaN, egressBytes } = atDeath.get(name) ?? {};
      // A request under way when it was killed may have been counted, and not answered.
      expect(apiRequests).toBeLessThanOrEqual((answered.get(name) ?? 0) + 1);
      expect(egressBytes).toBeLessThanOrEqual(10 * apiRequests);
      const stored = async () => (await store.history({ backend: name }))[0]?.usage;
      await vi.waitFor(async () => expect(await stored()).toMatchObject(atDeath.get(name) ?? {}), SOON);
    }
    survivor.child.signal("SIGTERM");
    expect(await survivor.child.exit()).toBe(0);
  });
});

describe("a proxy whose Redis is killed and starts again", () => {
  it("says what happened in one line each, goes on, and ends with everything stored", async () => {
    const upstream = await startUpstream();
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const folder = tempFolder();
    const settings = `counter: { kind: redis, url: "${redis.url}" }\nbackends: [{ name: oci, url: "${upstream.url}" }]`;
    writeConfig(folder, settings);
    const { child, proxy, admin } = await startProxy(folder);
    expect((await child.event("start")).config).toMatchObject({ counter: `Redis 127.0.0.1:${redis.port}` });
    expect((await call(proxy, "/objects/10")).status).toBe(200);
    await vi.waitFor(async () => expect((await report(admin)).backend.unpushed).toEqual(NOTHING), SOON);
    await redis.kill();
    await vi.waitFor(() => expect(child.problems).toMatchObject([{ event: "redis-away", level: "warn" }]), SOON);
    expect((await call(proxy, "/objects/10")).status).toBe(200);
    expect((await call(admin, "/readyz")).status).toBe(200);
    await redis.start();
    expect(await child.event("redis-back")).toMatchObject({ msg: "Redis is back, counts are shared again" });
    const period = new Date().toISOString().slice(0, 7);
    const lost = `Redis lost shared counts of "oci" in ${period}, they are being made whole again`;
    expect(child.problems.slice(1)).toMatchObject([{ event: "redis-lost", period, backends: ["oci"], msg: lost }]);
    expect(child.problems[0]?.msg).toMatch(/^Redis is away, /);
    expect(child.log.filter(({ event }) => event.startsWith("redis"))).toHaveLength(1);
    child.signal("SIGTERM");
    expect(await child.exit()).toBe(0);
    expect(child.log.at(-1)).toMatchObject({ event: "stopped", stored: true });
  });
});

describe("a proxy whose Redis speaks TLS", () => {
  it("shares its counts when the certificate is good, and otherwise does not start", async () => {
    const upstream = await startUpstream();
    const port = await terminateTls(servers.redis.port);
    const folder = tempFolder();
    writeFileSync(join(folder, "ca.pem"), CERT);
    const { name, prefix } = own();
    const counter = `counter: { kind: redis, url: "rediss://localhost:${port}", prefix: ${prefix} }`;
    writeConfig(folder, `${counter}\nbackends: [{ name: ${name}, url: "${upstream.url}" }]`);
    const distrustful = new Child("src/main.ts", ["--config", "proxy.yaml"], folder);
    const { proxy } = await startProxy(folder, { NODE_EXTRA_CA_CERTS: join(folder, "ca.pem") });
    await call(proxy, "/objects/10");
    const shared = () => sumsIn(servers.redis, countsKey(prefix, name));
    await vi.waitFor(async () => expect(await shared()).toEqual({ apiRequests: 1, egressBytes: 10 }), SOON);
    expect(await distrustful.exit()).toBe(1);
    expect(distrustful.errors).toContain(
      `the counter (Redis localhost:${port}) cannot be used: self-signed certificate`,
    );
    expect(distrustful.errors).toContain("NODE_EXTRA_CA_CERTS");
  });
});

/** A TLS listener before a server that speaks none; answers its port. */
async function terminateTls(port: number): Promise<number> {
  const listener = createServer({ cert: CERT, key: KEY }, (client) => {
    const server = connect(port, "127.0.0.1");
    for (const socket of [client, server]) socket.on("error", () => void server.destroy());
    client.pipe(server).pipe(client);
  });
  listener.on("tlsClientError", () => {});
  listener.listen(0, "localhost");
  await once(listener, "listening");
  onTestFinished(() => void listener.close());
  const address = listener.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

describe("a proxy that cannot start because of Redis", () => {
  it("says where it is and why, without a password, and exits 1", async () => {
    const folder = tempFolder();
    const settings = `counter: { kind: redis, url: "redis://someone:hunter2@127.0.0.1:1" }\nbackends: [{ name: a, url: "http://x" }]`;
    writeConfig(folder, settings);
    const child = new Child("src/main.ts", ["--config", "proxy.yaml"], folder);
    expect(await child.exit()).toBe(1);
    expect(child.errors).toBe(
      "the counter (Redis 127.0.0.1:1) cannot be used: connect ECONNREFUSED 127.0.0.1:1: " +
        "it refuses connections; is it running, and is the port of its url right?\n",
    );
    expect(child.log.map(({ event }) => event)).toEqual(["start"]);
    expect(child.output).not.toMatch(/hunter2|someone/);
  });
});
