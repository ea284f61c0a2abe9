import { setTimeout as sleep } from "node:timers/promises";
import { memoryStore } from "@usage/counter-core";
import type { RedisCounterBackend } from "@usage/counter-redis";
import { type RedisServer, startReplica } from "@usage/test-servers";
import { describe, expect, it, onTestFinished } from "vitest";
import { client, counter, freshPrefix, patientClient } from "./support/counters.ts";
import { flush, storedRequests } from "./support/flush.ts";
import { faultProxy, redisServer } from "./support/servers.ts";
import { countsKey, sharedSum } from "./support/shared.ts";
import { SOON } from "./support/soon.ts";
import { TappedClient } from "./support/tapped-client.ts";
import { Truth, traffic } from "./support/truth.ts";

/** A probe interval (1 s), the client's reconnect delay (up to 2 s), two sync intervals, and what a busy machine takes. */
const AGREED_WITHIN_MS = 5_000;
const BACKENDS = ["oci", "b2"];

type Outage = (server: RedisServer) => Promise<void>;

const OUTAGES: readonly (readonly [what: string, outage: Outage])[] = [
  [
    "hangs for a while",
    async (server) => {
      server.pause();
      await sleep(1_500);
      server.resume();
    },
  ],
  [
    "is killed, and starts empty",
    async (server) => {
      await server.kill();
      await sleep(700);
      await server.startEmpty();
    },
  ],
  [
    "is killed, and starts from an old snapshot",
    async (server) => {
      const snapshot = await server.snapshot();
      await sleep(300);
      await server.startFrom(snapshot);
    },
  ],
  ["is emptied", async (server) => void (await server.command("FLUSHALL"))],
  [
    "evicts its keys, one by one",
    async (server) => {
      for (const key of (await server.command("KEYS", "*")) as string[]) {
        await server.command("DEL", key);
        await sleep(60);
      }
    },
  ],
  [
    "is full",
    async (server) => {
      await server.command("CONFIG", "SET", "maxmemory", 1);
      await sleep(700);
      await server.command("CONFIG", "SET", "maxmemory", 0);
    },
  ],
  [
    "is a read-only replica for a while",
    async (server) => {
      await server.command("REPLICAOF", "127.0.0.1", 1);
      await sleep(700);
      await server.command("REPLICAOF", "NO", "ONE");
    },
  ],
];

/** Three counters that go on, and one that stored what it had shared before it died; all of them flush again and again. */
async function instances(url: string) {
  const prefix = freshPrefix();
  const store = memoryStore();
  const truth = new Truth();
  const connected = async () => counter({ prefix, backends: BACKENDS, client: await client(url) });
  const counters = [await connected(), await connected(), await connected()];
  const victimsClient = await client(url);
  const victim = await counter({ prefix, backends: BACKENDS, client: victimsClient });
  for (const backend of BACKENDS) truth.record(victim, backend, { apiRequests: 1_000, egressBytes: 5 });
  truth.watch(...counters);
  await truth.seenByAll();
  await flush(victim, store);
  victimsClient.disconnect();
  let isOver = false;
  const flushing = counters.map(async (one) => {
    for (; !isOver; await sleep(150)) await flush(one, store);
  });
  onTestFinished(async () => {
    isOver = true;
    await Promise.all(flushing);
  });
  return { prefix, store, truth, counters };
}

/** What must be true after anything: all agree, Redis has all of it, and so has the store once it is flushed. */
async function expectWhole(url: string, { prefix, store, truth, counters }: Awaited<ReturnType<typeof instances>>) {
  await truth.seenByAll(AGREED_WITHIN_MS);
  const redis = await patientClient(url);
  const [one] = counters as [RedisCounterBackend];
  for (const backend of BACKENDS) {
    const sum = () => sharedSum(redis, countsKey(prefix, one.period().key, backend));
    await expect.poll(sum, { timeout: AGREED_WITHIN_MS }).toBe(truth.of(backend).apiRequests);
  }
  for (const each of counters) await flush(each, store);
  for (const backend of BACKENDS) {
    expect(await storedRequests(one, store, backend)).toBe(truth.of(backend).apiRequests);
  }
}

describe("when Redis", () => {
  it.each(OUTAGES)(
    "%s, no count is lost or doubled, no view goes back, and all soon agree again",
    async (_, outage) => {
      const server = await redisServer();
      const all = await instances(server.url);
      const stop = traffic(all.truth, all.counters, 2);
      await sleep(200);
      await outage(server);
      await sleep(100);
      stop();
      await expectWhole(server.url, all);
    },
  );

  it("fails over to a replica that lacked the last writes, no count is lost or doubled, and all soon agree again", async () => {
    const master = await redisServer();
    const replica = await startReplica(master);
    onTestFinished(() => replica.stop());
    const { proxy, url } = await faultProxy(master.url);
    const all = await instances(url);
    const stop = traffic(all.truth, all.counters, 2);
    await sleep(200);
    await replica.pauseReplication();
    await sleep(300);
    await master.kill();
    await sleep(100);
    await replica.promote();
    proxy.connectTo(replica.port);
    await sleep(200);
    stop();
    await expectWhole(replica.url, all);
  });

  it("has become a read-only replica, connects anew with the recommended options: its name may lead to another master", async () => {
    const server = await redisServer();
    const { proxy, url } = await faultProxy(server.url);
    const one = await counter({ prefix: freshPrefix(), backends: BACKENDS, client: await client(url) });
    const { connections } = proxy;
    await server.command("REPLICAOF", "127.0.0.1", 1);
    one.add("oci", "apiRequests", 1);
    await expect.poll(() => proxy.connections, SOON).toBeGreaterThan(connections);
    await server.command("REPLICAOF", "NO", "ONE");
    await expect.poll(() => one.unpushedAll("oci").apiRequests, SOON).toBe(0);
  });

  it("loses what was shared, every instance says so, and a new one knows all of it after the next flush", async () => {
    const server = await redisServer();
    const { prefix, store, truth, counters } = await instances(server.url);
    const lost: string[][] = [];
    for (const one of counters) {
      one.onEvent((event) => void (event.kind === "lost" && lost.push([...event.backends])));
    }
    for (const one of counters) truth.record(one, "oci", { apiRequests: 5 });
    await truth.seenByAll();
    await server.command("FLUSHALL");
    await expect.poll(() => lost.length, { timeout: AGREED_WITHIN_MS }).toBeGreaterThanOrEqual(counters.length);
    expect(new Set(lost.flat())).toEqual(new Set(BACKENDS));
    for (const one of counters) await flush(one, store);
    const newcomer = await counter({ prefix, backends: BACKENDS, client: await client(server.url) });
    await expect.poll(() => newcomer.totalAll("oci"), { timeout: AGREED_WITHIN_MS }).toEqual(truth.of("oci"));
  });

  it("is away, no call of the request path sends a command, answers a promise or fails", async () => {
    const server = await redisServer();
    const tapped = new TappedClient(await client(server.url));
    const one = await counter({ prefix: freshPrefix(), backends: BACKENDS, client: tapped });
    one.add("oci", "apiRequests", 1);
    for (const isBack of [false, true]) {
      if (isBack) await server.start();
      else await server.kill();
      await expect.poll(() => one.isHealthy(), SOON).toBe(isBack);
      const out = new Float64Array(3);
      const sent = tapped.sent.length;
      for (let i = 0; i < 1_000; i++) {
        expect(one.add("oci", "apiRequests", 1)).toBeUndefined();
        expect(one.addAll("b2", { egressBytes: 5 })).toBeUndefined();
        expect(one.readTotal("oci", out)).toBeUndefined();
        expect(one.has("b2")).toBe(true);
        expect(one.tryAddAll("b2", { egressBytes: 5 })).toBe(true);
        expect(one.fits("b2", { egressBytes: 5 })).toBe(true);
        for (const answer of [one.totalAll("oci"), one.loadAll("oci"), one.load("oci", "apiRequests"), one.period()]) {
          expect(answer).not.toHaveProperty("then");
        }
      }
      expect(tapped.sent.length).toBe(sent);
      expect(out[0]).toBe(isBack ? 2_001 : 1_001);
    }
  });

  it("is away, nothing is sent to it, and tallies are stored all the same", async () => {
    const server = await redisServer();
    const redis = await client(server.url);
    const tapped = new TappedClient(redis);
    const store = memoryStore();
    const one = await counter({ prefix: freshPrefix(), backends: BACKENDS, client: tapped });
    await server.kill();
    await expect.poll(() => redis.status, SOON).not.toBe("ready");
    const sent = tapped.sent.length;
    one.add("oci", "apiRequests", 5);
    await flush(one, store);
    // It has given up by then, and stores what came later, too.
    await expect.poll(() => one.isHealthy(), SOON).toBe(false);
    one.add("oci", "apiRequests", 5);
    await flush(one, store);
    expect(tapped.sent.length).toBe(sent);
    expect(await storedRequests(one, store, "oci")).toBe(10);
  });
});
