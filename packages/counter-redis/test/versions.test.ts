import { memoryStore } from "@usage/counter-core";
import { counterBackendContract } from "@usage/counter-core/testing";
import { RedisCounterBackend } from "@usage/counter-redis";
import { type RedisServer, type RedisVersion, startRedis } from "@usage/test-servers";
import { afterAll, describe, expect, it } from "vitest";
import { client, counter, freshPrefix, patientClient } from "./support/counters.ts";
import { exactCounter, takeAllOf } from "./support/exact.ts";
import { Truth, traffic } from "./support/truth.ts";

/** The other tests run on the one that the machine has. */
describe.each<RedisVersion>(["Redis 7.0", "Redis 8.0", "Valkey 8.1"])("on %s", (version) => {
  let starting: Promise<RedisServer> | undefined;
  const server = (): Promise<RedisServer> => {
    starting ??= startRedis({ version });
    return starting;
  };
  afterAll(async () => (await starting)?.stop());

  it("counters share their counts, and survive a wipe", async () => {
    const { url, command } = await server();
    const prefix = freshPrefix();
    const connected = async () => counter({ prefix, client: await client(url) });
    const all = [await connected(), await connected()];
    const truth = new Truth();
    truth.watch(...all);
    const stop = traffic(truth, all);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await command("FLUSHALL");
    await command("SCRIPT", "FLUSH");
    await new Promise((resolve) => setTimeout(resolve, 100));
    stop();
    await truth.seenByAll();
  });

  it("exact limits are used up to the last unit by three instances, and not passed", async () => {
    const { url } = await server();
    const [store, prefix] = [memoryStore(), freshPrefix()];
    const counters: RedisCounterBackend[] = [];
    for (let i = 0; i < 3; i++) {
      counters.push(await exactCounter(store, 4_000, { prefix, client: await patientClient(url) }));
    }
    expect(await takeAllOf(counters, 4_000)).toBe(4_000);
  }, 60_000);

  counterBackendContract(`RedisCounterBackend on ${version}`, {
    async create(backends, clock) {
      const redis = await client((await server()).url);
      return RedisCounterBackend.connect({ client: redis, prefix: freshPrefix(), backends, clock });
    },
    dispose: (connected) => (connected as RedisCounterBackend).close(),
  });
});
