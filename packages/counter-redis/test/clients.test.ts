import { AmountError } from "@usage/counter-core";
import { counterBackendContract } from "@usage/counter-core/testing";
import {
  type RedisClient,
  RedisCounterBackend,
  recommendedClientOptions,
  recommendedClusterOptions,
} from "@usage/counter-redis";
import { startRedisCluster } from "@usage/test-servers";
import {
  Cluster as Cluster6,
  type ClusterOptions as ClusterOptions6,
  type Redis as Redis6,
  type RedisOptions as RedisOptions6,
} from "ioredis";
import {
  Cluster as Cluster5,
  type ClusterOptions as ClusterOptions5,
  Redis as Redis5,
  type RedisOptions as RedisOptions5,
} from "ioredis5";
import { describe, expect, expectTypeOf, inject, it, onTestFinished } from "vitest";
import { client, counter, freshPrefix, patientClient } from "./support/counters.ts";
import { SOON } from "./support/soon.ts";
import { Truth, traffic } from "./support/truth.ts";

const clients = new Map<unknown, Redis5>();

counterBackendContract("RedisCounterBackend on ioredis 5", {
  async create(backends, clock) {
    const redis = await redis5();
    const connected = await RedisCounterBackend.connect({ client: redis, prefix: freshPrefix(), backends, clock });
    clients.set(connected, redis);
    return connected;
  },
  async dispose(connected) {
    await (connected as RedisCounterBackend).close();
    clients.get(connected)?.disconnect();
  },
});

describe("clients", () => {
  it("of ioredis 5 and 6, of a server and of a cluster, are taken as they are", () => {
    expectTypeOf<Redis5>().toExtend<RedisClient>();
    expectTypeOf<Redis6>().toExtend<RedisClient>();
    expectTypeOf<Cluster5>().toExtend<RedisClient>();
    expectTypeOf<Cluster6>().toExtend<RedisClient>();
    // And so are the recommended options by their constructors.
    expectTypeOf(recommendedClientOptions).toExtend<RedisOptions5>();
    expectTypeOf(recommendedClientOptions).toExtend<RedisOptions6>();
    expectTypeOf(recommendedClusterOptions).toExtend<ClusterOptions5>();
    expectTypeOf(recommendedClusterOptions).toExtend<ClusterOptions6>();
  });

  it("of ioredis 5 and 6 share their counts, whichever protocol they speak", async () => {
    const prefix = freshPrefix();
    const five = await redis5();
    onTestFinished(() => five.disconnect());
    const url = inject("redisUrl");
    const all = await Promise.all([
      counter({ prefix, client: five }),
      counter({ prefix, client: await client(url, { protocol: 2 }) }),
      counter({ prefix, client: await client(url, { protocol: 3 }) }),
    ]);
    const truth = new Truth();
    truth.watch(...all);
    const stop = traffic(truth, all);
    await new Promise((resolve) => setTimeout(resolve, 300));
    stop();
    await truth.seenByAll();
    // Reads of whole hashes, which the clients answer in different forms.
    // What was there at one flush and is not stored at the next is looked for.
    for (const one of all) await one.tallies();
    const rows = await Promise.all(all.map((one) => one.tallies()));
    for (const tallies of rows) expect(new Set(tallies.map(({ writer }) => writer)).size).toBe(all.length);
  });

  it("are exact up to 2^53-1, although some of them round what comes near it", async () => {
    for (const redis of [await redis5(), await patientClient()]) {
      onTestFinished(() => redis.disconnect());
      const prefix = freshPrefix();
      const first = await counter({ prefix, client: redis });
      first.add("oci", "egressBytes", Number.MAX_SAFE_INTEGER);
      await expect.poll(() => first.unpushedAll("oci").egressBytes, SOON).toBe(0);
      const second = await counter({ prefix, client: redis });
      expect(second.totalAll("oci").egressBytes).toBe(Number.MAX_SAFE_INTEGER);
      expect(() => second.add("oci", "egressBytes", 1)).toThrow(AmountError);
    }
  });

  it("of ioredis 5 and 6 share their counts on a cluster", async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    const nodes = cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
    const prefix = freshPrefix();
    const all: RedisCounterBackend[] = [];
    for (const Cluster of [Cluster5, Cluster6]) {
      const connected = new Cluster(nodes, recommendedClusterOptions);
      onTestFinished(() => connected.disconnect());
      all.push(await counter({ prefix, client: connected }));
    }
    const truth = new Truth();
    truth.watch(...all);
    for (const one of all) truth.record(one, "oci", { apiRequests: 3 });
    for (const one of all) truth.record(one, "b2", { egressBytes: 5 });
    await truth.seenByAll();
  });
});

async function redis5(): Promise<Redis5> {
  const redis = new Redis5(inject("redisUrl"), recommendedClientOptions);
  await new Promise((resolve) => redis.once("ready", resolve));
  return redis;
}
