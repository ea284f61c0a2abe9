import { setTimeout as sleep } from "node:timers/promises";
import { currentPeriod } from "@usage/counter-core";
import { type RedisClient, recommendedClientOptions } from "@usage/counter-redis";
import type { Direction } from "@usage/test-servers";
import { Redis } from "ioredis";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { counter, freshPrefix, manyCounters, patientClient } from "./support/counters.ts";
import { faultProxy } from "./support/servers.ts";
import { countsKey, sharedSum } from "./support/shared.ts";
import { SOON } from "./support/soon.ts";
import { Truth, traffic } from "./support/truth.ts";

/** With ioredis's own options, commands are kept, and sent again after a reconnect. */
const CLIENTS = { "the recommended options": recommendedClientOptions, "ioredis's own options": {} };
type Options = keyof typeof CLIENTS;

describe("nothing is lost or counted twice", () => {
  const url = inject("redisUrl");

  /** Connected by way of a proxy, and again at once. */
  async function connected(by: string, options: Options): Promise<Redis> {
    const redis = new Redis(by, { ...CLIENTS[options], retryStrategy: () => 1 });
    redis.on("error", () => {});
    onTestFinished(() => redis.disconnect());
    await new Promise((resolve) => redis.once("ready", resolve));
    return redis;
  }

  async function sharedRequests(prefix: string, backend = "oci"): Promise<number> {
    const redis = await patientClient();
    return sharedSum(redis, countsKey(prefix, currentPeriod(), backend));
  }

  /** Two counters behind a proxy, with different options, and one that is not; all of them watched. */
  async function threeCounters(timeouts: { readonly pushTimeoutMs?: number } = {}) {
    const prefix = freshPrefix();
    const { proxy, url: by } = await faultProxy(url);
    const all = { prefix, probeIntervalMs: 100, ...timeouts };
    const counters = await Promise.all([
      counter({ ...all, client: await connected(by, "the recommended options") }),
      counter({ ...all, client: await connected(by, "ioredis's own options") }),
      counter(all),
    ]);
    const truth = new Truth();
    truth.watch(...counters);
    for (const one of counters) truth.record(one, "oci", { apiRequests: 1 });
    await truth.seenByAll();
    return { prefix, proxy, counters, truth };
  }

  it("when replies are lost after the script ran", async () => {
    const { prefix, proxy, counters, truth } = await threeCounters({ pushTimeoutMs: 200 });
    for (const one of [counters[0], counters[1], counters[0], counters[1]]) {
      const before = truth.of("oci").apiRequests;
      proxy.dropReplies = true;
      truth.record(one, "oci", { apiRequests: 10 });
      await expect.poll(() => sharedRequests(prefix), SOON).toBe(before + 10);
      expect(one.unpushedAll("oci").apiRequests).toBe(10);
      await proxy.heal();
      await truth.seenByAll();
    }
    expect(await sharedRequests(prefix)).toBe(43);
  });

  it("when requests are lost on the way", async () => {
    const { prefix, proxy, counters, truth } = await threeCounters({ pushTimeoutMs: 200 });
    proxy.dropRequests = true;
    for (const one of counters) truth.record(one, "oci", { apiRequests: 10 });
    await sleep(300);
    expect(await sharedRequests(prefix)).toBe(13);
    await proxy.heal();
    await truth.seenByAll();
    expect(await sharedRequests(prefix)).toBe(33);
  });

  it("when everything is slow", async () => {
    const { prefix, proxy, counters, truth } = await threeCounters();
    proxy.delayMs = 60;
    const stop = traffic(truth, counters);
    await sleep(600);
    stop();
    await truth.seenByAll();
    expect(await sharedRequests(prefix)).toBe(truth.of("oci").apiRequests);
  });

  it("when everything is swallowed for a while, and arrives afterwards", async () => {
    const { prefix, proxy, counters, truth } = await threeCounters({ pushTimeoutMs: 150 });
    const stop = traffic(truth, counters);
    for (let i = 0; i < 2; i++) {
      proxy.blackHole = true;
      await sleep(400);
      await proxy.heal();
      await sleep(100);
    }
    stop();
    await truth.seenByAll();
    expect(await sharedRequests(prefix)).toBe(truth.of("oci").apiRequests);
  });

  it("when a request that was given up on arrives after later ones of another connection", async () => {
    const prefix = freshPrefix();
    const { proxy, url: by } = await faultProxy(url);
    const slow = await connected(by, "ioredis's own options");
    const fast = await connected(url, "ioredis's own options");
    let current = fast;
    let sentSlowly = 0;
    const switched: RedisClient = {
      status: "ready",
      isCluster: false,
      call(command, args) {
        if (current === slow) sentSlowly++;
        return current.call(command, args);
      },
    };
    const late = await counter({ prefix, client: switched, pushTimeoutMs: 100, probeIntervalMs: 50 });
    const other = await counter({ prefix });
    const truth = new Truth();
    truth.watch(late, other);
    truth.record(late, "oci", { apiRequests: 1 });
    await truth.seenByAll();
    proxy.delayMs = 1_000;
    current = slow;
    truth.record(late, "oci", { apiRequests: 10 });
    await expect.poll(() => sentSlowly, SOON).toBeGreaterThan(0);
    current = fast;
    truth.record(late, "oci", { apiRequests: 100 });
    await truth.seenByAll();
    expect(await sharedRequests(prefix)).toBe(111);
    const { bytesToServer } = proxy;
    // What was held up arrives.
    await expect.poll(() => proxy.bytesToServer, SOON).toBeGreaterThan(bytesToServer);
    await sleep(50);
    expect(await sharedRequests(prefix)).toBe(111);
    truth.record(other, "oci", { apiRequests: 1_000 });
    await truth.seenByAll();
    expect(await sharedRequests(prefix)).toBe(1_111);
  });

  it("when connections break at random while all of them count", async () => {
    const { prefix, proxy, counters, truth } = await threeCounters({ pushTimeoutMs: 200 });
    const stop = traffic(truth, counters);
    for (let i = 0; i < 40; i++) {
      proxy.cutAfter(Math.floor(Math.random() * 1_000), i % 2 === 0 ? "toServer" : "toClient");
      await sleep(20);
    }
    expect(proxy.cuts).toBeGreaterThan(5);
    stop();
    await proxy.heal();
    await truth.seenByAll();
    expect(await sharedRequests(prefix)).toBe(truth.of("oci").apiRequests);
    expect(await sharedRequests(prefix, "b2")).toBe(truth.of("b2").apiRequests);
  });

  it.each<[Direction, Options]>([
    ["toServer", "the recommended options"],
    ["toClient", "the recommended options"],
    ["toServer", "ioredis's own options"],
    ["toClient", "ioredis's own options"],
  ])("when the connection is cut at any byte of a push, %s, with %s", async (direction, options) => {
    const prefix = freshPrefix();
    const { proxy, url: by } = await faultProxy(url);
    const redis = await connected(by, options);
    // Nothing but pushes of what was recorded, and all of them at once.
    const quiet = { syncIntervalMs: 1, pollIntervalMs: 2 ** 31 - 1, failureThreshold: 2 ** 31, backends: ["oci"] };
    const cut = await counter({ prefix, client: redis, ...quiet });
    const [other] = await manyCounters(1, { prefix, pollIntervalMs: 20 });
    const truth = new Truth();
    truth.watch(cut, ...(other === undefined ? [] : [other]));
    const record = (amount: number): void => truth.record(cut, "oci", { apiRequests: amount });
    const pushed = async (): Promise<void> => {
      await expect.poll(() => cut.unpushedAll("oci").apiRequests, { interval: 1 }).toBe(0);
    };
    const passed = (): number => (direction === "toServer" ? proxy.bytesToServer : proxy.bytesToClient);
    // From here on, all amounts have as many digits.
    record(10_000);
    await pushed();
    const before = passed();
    record(1);
    await pushed();
    const bytes = passed() - before;
    expect(bytes).toBeGreaterThan(20);
    for (let cutAt = 0; cutAt <= bytes; cutAt++) {
      await expect.poll(() => redis.status, { interval: 1 }).toBe("ready");
      const { cuts } = proxy;
      proxy.cutAfter(cutAt, direction);
      record(1);
      await expect.poll(() => proxy.cuts - cuts, { interval: 1 }).toBe(1);
      await pushed();
      expect(await sharedRequests(prefix), `cut at byte ${cutAt}`).toBe(truth.of("oci").apiRequests);
    }
    await truth.seenByAll();
  });
});
