import { setTimeout as sleep } from "node:timers/promises";
import { memoryStore } from "@usage/counter-core";
import { type RedisConnectOptions, type RedisCounterBackend, recommendedClusterOptions } from "@usage/counter-redis";
import { BucketKeys } from "@usage/counter-redis/internal";
import { type RedisCluster, startRedisCluster } from "@usage/test-servers";
import { Cluster } from "ioredis";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { ODD_NAMES } from "../../counter-core/src/testing/odd-names.ts";
import { counter, freshPrefix } from "./support/counters.ts";
import { exactCounter, takeAllOf } from "./support/exact.ts";
import { flush, storedRequests } from "./support/flush.ts";
import { countsKey, sharedSum } from "./support/shared.ts";
import { SOON } from "./support/soon.ts";
import { Truth, traffic } from "./support/truth.ts";

/** Enough for each node to have several. */
const BACKENDS = Array.from({ length: 24 }, (_, i) => `backend-${i}`);

describe("on a Redis Cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    return cluster.stop;
  });

  async function clusterClient(): Promise<Cluster> {
    const nodes = cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
    const client = new Cluster(nodes, recommendedClusterOptions);
    client.on("error", () => {});
    onTestFinished(() => client.disconnect());
    await new Promise((resolve) => client.once("ready", resolve));
    return client;
  }

  async function counters(count: number, options: Partial<RedisConnectOptions> & { readonly prefix: string }) {
    const connected = Array.from({ length: count }, async () =>
      counter({ backends: BACKENDS, ...options, client: await clusterClient() }),
    );
    return Promise.all(connected);
  }

  /** The sum of what all nodes hold for these backends. */
  async function sharedRequests(prefix: string, period: string, backends: readonly string[]): Promise<number[]> {
    const client = await clusterClient();
    return Promise.all(backends.map((backend) => sharedSum(client, countsKey(prefix, period, backend))));
  }

  it("exact limits are used up to the last unit by three instances, and not passed", async () => {
    const [store, prefix] = [memoryStore(), freshPrefix()];
    const all: RedisCounterBackend[] = [];
    for (let i = 0; i < 3; i++) all.push(await exactCounter(store, 4_000, { prefix, client: await clusterClient() }));
    expect(await takeAllOf(all, 4_000)).toBe(4_000);
  }, 60_000);

  it("all instances come to see what all recorded, each backend on the node of its name", async () => {
    const prefix = freshPrefix();
    const all = await counters(3, { prefix });
    const truth = new Truth();
    truth.watch(...all);
    const stop = traffic(truth, all);
    await sleep(400);
    stop();
    await truth.seenByAll();
    const period = all[0]?.period().key ?? "";
    expect(await sharedRequests(prefix, period, BACKENDS)).toEqual(BACKENDS.map((name) => truth.of(name).apiRequests));
    const sizes = await Promise.all(cluster.nodes.map((node) => node.command("KEYS", `${prefix}*`)));
    for (const keys of sizes) expect((keys as string[]).length).toBeGreaterThan(1);
  });

  it("names with braces and all other odd ones are told apart", async () => {
    const [first, second] = await counters(2, { prefix: freshPrefix(), backends: ODD_NAMES });
    ODD_NAMES.forEach((name, i) => void first?.add(name, "apiRequests", i + 1));
    await expect
      .poll(() => ODD_NAMES.map((name) => second?.totalAll(name).apiRequests), SOON)
      .toEqual(ODD_NAMES.map((_, i) => i + 1));
  });

  it("a slot moves to another node and back while all of them count, and nothing is lost or doubled", async () => {
    const prefix = freshPrefix();
    const all = await counters(2, { prefix });
    const period = all[0]?.period().key ?? "";
    const truth = new Truth();
    truth.watch(...all);
    const stop = traffic(truth, all);
    await sleep(100);
    const slot = await cluster.slotOf(countsKey(prefix, period, "backend-0"));
    const from = await cluster.ownerOf(slot);
    const to = cluster.nodes.find((node) => node !== from);
    if (to === undefined) throw new Error("a cluster has more than one node");
    for (const node of [to, from, to]) {
      await cluster.moveSlot(slot, node);
      await sleep(150);
    }
    stop();
    await truth.seenByAll();
    expect(await sharedRequests(prefix, period, BACKENDS)).toEqual(BACKENDS.map((name) => truth.of(name).apiRequests));
    expect(await to.command("EXISTS", countsKey(prefix, period, "backend-0"))).toBe(1);
  });

  it("while one node is away, backends on the others are shared, new ones too; and all is whole when it is back, empty", async () => {
    const prefix = freshPrefix();
    const store = memoryStore();
    const all = (await counters(2, { prefix })) as [RedisCounterBackend, RedisCounterBackend];
    const [first, second] = all;
    const period = first.period().key;
    const truth = new Truth();
    truth.watch(...all);
    for (const backend of BACKENDS) truth.record(first, backend, { apiRequests: 10 });
    await truth.seenByAll();
    const victim = await cluster.ownerOf(await cluster.slotOf(countsKey(prefix, period, "backend-0")));
    const added = Array.from({ length: 6 }, (_, i) => `later-${i}`);
    const reachable: string[] = [];
    for (const backend of [...BACKENDS, ...added]) {
      const owner = await cluster.ownerOf(await cluster.slotOf(countsKey(prefix, period, backend)));
      if (owner !== victim) reachable.push(backend);
    }
    await victim.kill();
    for (const one of all) await one.ensure(added, async () => []);
    const stop = traffic(truth, all, 5);
    await sleep(2_000);
    stop();
    await expect
      .poll(() => reachable.map((name) => second.totalAll(name)), SOON)
      .toEqual(reachable.map((name) => truth.of(name)));
    await victim.startEmpty();
    await cluster.ready();
    await truth.seenByAll(15_000);
    expect(await sharedRequests(prefix, period, BACKENDS)).toEqual(BACKENDS.map((name) => truth.of(name).apiRequests));
    for (const one of all) await flush(one, store);
    for (const name of BACKENDS) expect(await storedRequests(first, store, name)).toBe(truth.of(name).apiRequests);
  });

  it("a node that hangs holds up its own backends only", async () => {
    const prefix = freshPrefix();
    const [first, second] = (await counters(2, { prefix })) as [RedisCounterBackend, RedisCounterBackend];
    const period = first.period().key;
    const truth = new Truth();
    truth.watch(first, second);
    const named: string[] = [];
    first.onEvent((event) => void (event.kind !== "healthy" && named.push(event.kind)));
    const hung = await cluster.ownerOf(await cluster.slotOf(countsKey(prefix, period, "backend-0")));
    const others: string[] = [];
    for (const name of BACKENDS) {
      const owner = await cluster.ownerOf(await cluster.slotOf(countsKey(prefix, period, name)));
      if (owner !== hung) others.push(name);
    }
    hung.pause();
    onTestFinished(() => hung.resume());
    for (const name of BACKENDS) truth.record(first, name, { apiRequests: 1 });
    await expect.poll(() => others.map((name) => second.totalAll(name).apiRequests), SOON).toEqual(others.map(() => 1));
    expect(second.totalAll("backend-0").apiRequests).toBe(0);
    hung.resume();
    await truth.seenByAll(10_000);
    expect(named).toEqual([]);
  });

  it("flushes that wait for a node that hangs hold up nobody's counts", async () => {
    const prefix = freshPrefix();
    const store = memoryStore();
    const waitMs = 5_000;
    const [first, second] = (await counters(2, { prefix, pushTimeoutMs: waitMs })) as [
      RedisCounterBackend,
      RedisCounterBackend,
    ];
    const period = first.period().key;
    const hung = await cluster.ownerOf(await cluster.slotOf(countsKey(prefix, period, "backend-0")));
    const owners = await Promise.all(
      BACKENDS.map(async (name) => cluster.ownerOf(await cluster.slotOf(countsKey(prefix, period, name)))),
    );
    const others = BACKENDS.filter((_, i) => owners[i] !== hung);
    hung.pause();
    onTestFinished(() => hung.resume());
    const share = async (requests: number, timeout: number) => {
      for (const name of BACKENDS) first.add(name, "apiRequests", 1);
      await expect
        .poll(() => others.map((name) => second.totalAll(name).apiRequests), { timeout })
        .toEqual(others.map(() => requests));
    };
    // Until it is known of each of its buckets that it hangs, a round waits for it.
    for (const requests of [1, 2]) await share(requests, 4 * waitMs);
    const flushing = Promise.all([first, second].map((one) => flush(one, store)));
    for (const requests of [3, 4]) await share(requests, waitMs / 2);
    hung.resume();
    await flushing;
    await expect
      .poll(() => BACKENDS.map((name) => second.totalAll(name).apiRequests), SOON)
      .toEqual(BACKENDS.map(() => 4));
  }, 60_000);

  it("nodes that answer again after all were away share their backends, whichever one stays away", async () => {
    const prefix = freshPrefix();
    const [first, second] = (await counters(2, { prefix, probeIntervalMs: 100 })) as [
      RedisCounterBackend,
      RedisCounterBackend,
    ];
    const period = first.period();
    const hung = await cluster.ownerOf(await cluster.slotOf(new BucketKeys(prefix, { period, number: 0 }).version));
    const others: string[] = [];
    for (const name of BACKENDS) {
      const owner = await cluster.ownerOf(await cluster.slotOf(countsKey(prefix, period.key, name)));
      if (owner !== hung) others.push(name);
    }
    onTestFinished(() => void cluster.nodes.map((node) => node.resume()));
    for (const node of cluster.nodes) node.pause();
    const areHealthy = () => [first.isHealthy(), second.isHealthy()];
    await expect.poll(areHealthy, SOON).toEqual([false, false]);
    for (const name of BACKENDS) first.add(name, "apiRequests", 1);
    for (const node of cluster.nodes) if (node !== hung) node.resume();
    // A client that has lost all nodes takes its time to find one, and asks those that hang as well.
    await expect
      .poll(() => others.map((name) => second.totalAll(name).apiRequests), { timeout: 80_000 })
      .toEqual(others.map(() => 1));
    expect(second.totalAll("backend-0").apiRequests).toBe(others.includes("backend-0") ? 1 : 0);
    expect(areHealthy()).toEqual([true, true]);
    hung.resume();
    await expect
      .poll(() => BACKENDS.map((name) => second.totalAll(name).apiRequests), SOON)
      .toEqual(BACKENDS.map(() => 1));
  }, 120_000);
});
