import { setTimeout as sleep } from "node:timers/promises";
import { memoryStore } from "@usage/counter-core";
import type { RedisCounterBackend, RefusedCounts } from "@usage/counter-redis";
import type { ChainableCommander, Redis } from "ioredis";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { counter, freshPrefix, patientClient } from "./support/counters.ts";
import { eventsOf } from "./support/events.ts";
import { flush, storedRequests } from "./support/flush.ts";
import { countsKey, keysOf, sharedSum } from "./support/shared.ts";
import { SOON } from "./support/soon.ts";
import { Truth, traffic } from "./support/truth.ts";

type Spoil = (redis: Redis, key: string) => Promise<unknown>;

/** What somebody may do to a key by hand. */
const SPOILED: readonly (readonly [what: string, spoil: Spoil, named: string])[] = [
  ["is no hash any more", (redis, key) => redis.set(key, "x"), ""],
  ["has sums that are no counts", (redis, key) => redis.hset(key, { ":s": "many 5 0" }), ":s"],
  ["has a sum below one of its parts", (redis, key) => redis.hset(key, { ":s": "0 0 0" }), "less than a part"],
  ["has a sum too many", (redis, key) => redis.hset(key, { ":s": "20 10 0 1" }), ":s"],
];

describe("a key that cannot be used", () => {
  let redis: Redis;
  let prefix: string;
  let first: RedisCounterBackend;
  let second: RedisCounterBackend;
  let refusals: RefusedCounts[];
  let key: string;
  beforeEach(async () => {
    redis = await patientClient();
    prefix = freshPrefix();
    const options = { prefix, backends: ["oci", "b2", "s3"], probeIntervalMs: 100, pushTimeoutMs: 20_000 };
    first = await counter({ ...options, client: await patientClient() });
    second = await counter({ ...options, client: await patientClient() });
    refusals = [];
    for (const one of [first, second]) one.onEvent((event) => void (event.kind === "refused" && refusals.push(event)));
    key = countsKey(prefix, first.period().key, "oci");
  });

  describe.each(SPOILED)("because it %s", (_, spoil, named) => {
    it("holds up its own backend only, is named in one event of each instance, and is whole again once deleted", async () => {
      const truth = new Truth();
      truth.watch(first, second);
      for (const one of [first, second]) truth.record(one, "oci", { apiRequests: 10, egressBytes: 5 });
      await truth.seenByAll();
      const unhealthy: unknown[] = [];
      for (const one of [first, second])
        one.onEvent((event) => void (event.kind === "unhealthy" && unhealthy.push(event)));
      await spoil(redis, key);
      const stop = traffic(truth, [first, second], 2);
      await expect.poll(() => refusals.length, SOON).toBe(2);
      for (const { backends, period, error } of refusals) {
        expect([backends, period]).toEqual([["oci"], first.period().key]);
        expect(error.message).toContain(key);
        expect(error.message).toContain(named);
      }
      // Longer than several attempts.
      await sleep(350);
      expect(refusals).toHaveLength(2);
      stop();
      for (const backend of ["b2", "s3"]) {
        const agreed = () => [first, second].map((one) => one.totalAll(backend));
        await expect.poll(agreed, SOON).toEqual([truth.of(backend), truth.of(backend)]);
      }
      expect(unhealthy).toEqual([]);
      await redis.del(key);
      await truth.seenByAll();
      expect(await sharedSum(redis, key)).toBe(truth.of("oci").apiRequests);
    });
  });

  it("is stored all the same: each instance stores what it counted itself", async () => {
    const store = memoryStore();
    await redis.set(key, "x");
    for (const one of [first, second]) one.addAll("oci", { apiRequests: 5 });
    for (const one of [first, second]) one.addAll("b2", { apiRequests: 1 });
    for (const one of [first, second]) await flush(one, store);
    expect(await storedRequests(first, store, "oci")).toBe(10);
    expect(await storedRequests(first, store, "b2")).toBe(2);
    // And is known from there meanwhile.
    await flush(first, store);
    expect(first.totalAll("oci").apiRequests).toBe(10);
  });

  it("can be asked for, as long as it cannot be used", async () => {
    expect(first.refused()).toEqual([]);
    await redis.set(key, "x");
    await expect.poll(() => first.refused(), SOON).toEqual(["oci"]);
    expect(first.isHealthy()).toBe(true);
    await redis.del(key);
    await expect.poll(() => first.refused(), SOON).toEqual([]);
  });

  it.each(SPOILED.filter(([, , named]) => named === ""))(
    "is told once where nobody here has the backend, because it %s",
    async (_, spoil) => {
      const store = memoryStore();
      const victim = await counter({ prefix, backends: ["acme", "other"] });
      for (const backend of ["acme", "other"]) victim.add(backend, "apiRequests", 5);
      await victim.close();
      const acme = countsKey(prefix, first.period().key, "acme");
      await spoil(redis, acme);
      for (let i = 0; i < 3; i++) await flush(first, store);
      await expect.poll(() => refusals.length, SOON).toBe(1);
      expect(refusals[0]).toMatchObject({ backends: ["acme"], period: first.period().key });
      expect(refusals[0]?.error.message).toContain(acme);
      expect(await storedRequests(first, store, "other")).toBe(5);
    },
  );

  it("is told where one of its tallies is none, and the others are stored", async () => {
    const store = memoryStore();
    const victim = await counter({ prefix, backends: ["acme"] });
    victim.add("acme", "apiRequests", 5);
    await victim.close();
    await redis.hset(countsKey(prefix, first.period().key, "acme"), { "/somebody": "many" });
    for (let i = 0; i < 2; i++) await flush(first, store);
    expect(refusals).toMatchObject([{ backends: ["acme"] }]);
    expect(refusals[0]?.error.message).toContain("/somebody");
    expect(await storedRequests(first, store, "acme")).toBe(5);
  });

  it("that is refused again after it was whole is told again", async () => {
    for (const times of [1, 2]) {
      await redis.del(key);
      first.add("oci", "apiRequests", 1);
      await expect.poll(() => first.unpushedAll("oci").apiRequests, SOON).toBe(0);
      await redis.set(key, "x");
      for (const one of [first, second]) one.add("oci", "apiRequests", 1);
      await expect.poll(() => refusals.length, SOON).toBe(2 * times);
    }
  });

  it("does not end the loop when a listener throws", async () => {
    const thrown: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => thrown.push(error));
    onTestFinished(() => {
      process.removeAllListeners("uncaughtException");
      for (const listener of listeners) process.on("uncaughtException", listener);
    });
    first.onEvent(() => {
      throw new Error("the listener's own fault");
    });
    await redis.set(key, "x");
    await expect.poll(() => thrown.length, SOON).toBe(1);
    first.add("b2", "apiRequests", 3);
    await expect.poll(() => second.totalAll("b2").apiRequests, SOON).toBe(3);
  });

  it("is looked at again until it can be read, however often the rest was stored meanwhile", async () => {
    const store = memoryStore();
    const victim = await counter({ prefix, backends: ["acme"] });
    victim.add("acme", "apiRequests", 5);
    await victim.close();
    const acme = countsKey(prefix, first.period().key, "acme");
    await redis.rename(acme, `${acme}-aside`);
    await redis.set(acme, "x");
    for (let i = 0; i < 3; i++) await flush(first, store);
    expect(await storedRequests(first, store, "acme")).toBe(0);
    await redis.rename(`${acme}-aside`, acme);
    await flush(first, store);
    expect(await storedRequests(first, store, "acme")).toBe(5);
  });

  it("rejects whoever asks for its backend while the store cannot be read either, and only that one", async () => {
    const away = () => Promise.reject(new Error("the database is away"));
    const one = await counter({ prefix });
    one.add("b2", "apiRequests", 3);
    await expect.poll(() => one.unpushedAll("b2").apiRequests, SOON).toBe(0);
    const newcomer = await counter({ prefix, backends: [] });
    await redis.set(countsKey(prefix, one.period().key, "acme"), "x");
    await expect(newcomer.ensure(["acme", "b2"], away)).rejects.toThrow(/"acme".*the database is away/);
    await newcomer.ensure(["b2"], away);
    expect(newcomer.totalAll("b2").apiRequests).toBe(3);
    await newcomer.ensure(["acme"], async () => []);
    newcomer.add("acme", "apiRequests", 1);
    expect((await newcomer.tallies()).map(({ backend }) => backend)).toContain("acme");
  });

  it.each([
    ["epoch", (once: ChainableCommander, key: string) => once.set(key, "x")],
    ["epoch", (once: ChainableCommander, key: string) => once.hset(key, { id: "x", run: "y", version: "z" })],
    ["changes", (once: ChainableCommander, key: string) => once.set(key, "x")],
    ["changes", (once: ChainableCommander, key: string) => once.hset(key, { not: "a set" })],
    ["version", (once: ChainableCommander, key: string) => once.hset(key, { not: "a", text: "" })],
  ] as const)(
    "holds up the counts of its bucket only when it is the bucket's own (%s), which is told, and all is whole again once it is deleted",
    async (which, spoil) => {
      const keys = keysOf(prefix, first.period().key, "oci");
      for (const one of [first, second]) one.add("oci", "apiRequests", 3);
      await expect.poll(() => [first, second].map((one) => one.totalAll("oci").apiRequests), SOON).toEqual([6, 6]);
      const unhealthy = [first, second].map((one) => eventsOf(one, "unhealthy"));
      // An instance makes it again as soon as it is gone.
      await spoil(redis.multi().del(keys[which]), keys[which]).exec();
      for (const backend of ["oci", "b2"]) first.add(backend, "apiRequests", 1);
      await expect.poll(() => second.totalAll("b2").apiRequests, SOON).toBe(1);
      // Longer than it takes to give up.
      await sleep(500);
      const isSpoilt = (await redis.type(keys[which])) !== { epoch: "hash", changes: "zset", version: "string" }[which];
      if (isSpoilt) {
        await expect.poll(() => refusals.length, SOON).toBe(2);
        for (const { error } of refusals) expect(error.message).toContain(keys[which]);
        expect(refusals.map(({ backends }) => backends)).toEqual([["oci"], ["oci"]]);
        expect(first.refused()).toEqual(["oci"]);
      }
      await redis.del(keys[which]);
      await expect.poll(() => [first, second].map((one) => one.totalAll("oci").apiRequests), SOON).toEqual([7, 7]);
      await expect.poll(() => first.refused(), SOON).toEqual([]);
      expect([first.isHealthy(), second.isHealthy()]).toEqual([true, true]);
      expect(unhealthy).toEqual([[], []]);
    },
  );
});
