import { setTimeout as sleep } from "node:timers/promises";
import { DrainConflictError, UnknownBackendError, UnknownDimensionError } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import type { RedisClient, RedisCounterBackend } from "@usage/counter-redis";
import { beforeEach, describe, expect, it } from "vitest";
import { client, counter, freshPrefix, manyCounters, patientClient } from "./support/counters.ts";
import { redisServer } from "./support/servers.ts";
import { SOON } from "./support/soon.ts";

const requests = (one: RedisCounterBackend): number => one.totalAll("oci").apiRequests;

describe("swap", () => {
  let prefix: string;
  let first: RedisCounterBackend;
  let second: RedisCounterBackend;
  beforeEach(async () => {
    prefix = freshPrefix();
    [first, second] = (await manyCounters(2, { prefix })) as [RedisCounterBackend, RedisCounterBackend];
  });

  it("takes what all instances counted, in one dimension of one backend, and all of them begin at zero", async () => {
    first.addAll("oci", { apiRequests: 3, egressBytes: 9 });
    second.addAll("oci", { apiRequests: 4 });
    second.addAll("b2", { apiRequests: 8 });
    await expect.poll(() => requests(first), SOON).toBe(7);
    expect(await first.swap("oci", "apiRequests")).toBe(7);
    expect(requests(first)).toBe(0);
    await expect.poll(() => second.totalAll("oci"), SOON).toEqual({ apiRequests: 0, egressBytes: 9, ingressBytes: 0 });
    expect(await second.swap("oci", "apiRequests")).toBe(0);
    second.add("oci", "apiRequests", 1);
    expect(await second.swap("oci", "apiRequests")).toBe(1);
    expect(await second.swap("b2", "apiRequests")).toBe(8);
  });

  it("takes what the caller has not shared yet, too", async () => {
    first.add("oci", "apiRequests", 3);
    expect(await first.swap("oci", "apiRequests")).toBe(3);
  });

  it("of several at once takes each count once, while all of them count", async () => {
    let [recorded, taken] = [0, 0];
    for (let i = 0; i < 30; i++) {
      for (const one of [first, second]) {
        one.add("oci", "apiRequests", i);
        recorded += i;
      }
      const amounts = await Promise.all([first, second, first].map((one) => one.swap("oci", "apiRequests")));
      taken += amounts.reduce((sum, amount) => sum + amount);
      expect(taken).toBeLessThanOrEqual(recorded);
    }
    await expect.poll(() => first.unpushedAll("oci").apiRequests + second.unpushedAll("oci").apiRequests, SOON).toBe(0);
    expect(taken + (await first.swap("oci", "apiRequests"))).toBe(recorded);
  });

  it("adds to what the caller says that it has stored", async () => {
    first.add("oci", "apiRequests", 5);
    const taken = await first.swap("oci", "apiRequests");
    first.setBaseline("oci", { apiRequests: taken, egressBytes: 0, ingressBytes: 0 });
    expect(requests(first)).toBe(5);
    first.add("oci", "apiRequests", 2);
    expect(requests(first)).toBe(7);
    second.add("oci", "apiRequests", 4);
    await expect.poll(() => requests(first), SOON).toBe(11);
    expect(await first.swap("oci", "apiRequests")).toBe(6);
    expect(requests(first)).toBe(5);
  });

  it("and a baseline on top of what others shared keep totals within 2^53-1", async () => {
    first.add("oci", "egressBytes", Number.MAX_SAFE_INTEGER - 10);
    await expect.poll(() => second.totalAll("oci").egressBytes, SOON).toBe(Number.MAX_SAFE_INTEGER - 10);
    second.add("oci", "egressBytes", 4);
    second.setBaseline("oci", { apiRequests: 0, egressBytes: 100, ingressBytes: 0 });
    expect(second.totalAll("oci").egressBytes).toBe(Number.MAX_SAFE_INTEGER);
    await first.swap("oci", "egressBytes");
    await expect.poll(() => second.totalAll("oci").egressBytes, SOON).toBeLessThanOrEqual(104);
  });

  it("refuses what it does not know, and takes nothing then", async () => {
    await expect(first.swap("unknown", "apiRequests")).rejects.toThrow(UnknownBackendError);
    await expect(first.swap("oci", "unknown" as "apiRequests")).rejects.toThrow(UnknownDimensionError);
    expect(await first.tallies()).toEqual([]);
  });

  it("and tallies exclude each other, whichever comes first", async () => {
    first.add("oci", "apiRequests", 3);
    await first.swap("oci", "apiRequests");
    await expect(first.tallies()).rejects.toThrow(DrainConflictError);
    const [third] = await manyCounters(1, { prefix: freshPrefix() });
    await third?.tallies();
    await expect(third?.swap("oci", "apiRequests")).rejects.toThrow(DrainConflictError);
  });

  it("and tallies exclude each other across instances, also those that come later", async () => {
    second.add("oci", "apiRequests", 3);
    await expect.poll(() => requests(first), SOON).toBe(3);
    await first.swap("oci", "apiRequests");
    await expect.poll(() => requests(second), SOON).toBe(0);
    await expect(second.tallies()).rejects.toThrow(DrainConflictError);
    const later = await counter({ prefix });
    await expect(later.tallies()).rejects.toThrow(DrainConflictError);
    expect(await later.swap("oci", "apiRequests")).toBe(0);
  });
});

describe("swap, when Redis fails,", () => {
  it("takes nothing twice of what was taken before all that was shared was lost", async () => {
    const server = await redisServer();
    const prefix = freshPrefix();
    const connected = async () => counter({ prefix, client: await client(server.url) });
    const all = [await connected(), await connected()] as const;
    const [first, second] = all;
    first.add("oci", "apiRequests", 3);
    second.add("oci", "apiRequests", 4);
    await expect.poll(() => requests(first), SOON).toBe(7);
    expect(await first.swap("oci", "apiRequests")).toBe(7);
    await expect.poll(() => requests(second), SOON).toBe(0);
    for (const lose of [() => server.command("FLUSHALL"), () => server.startEmpty()]) {
      await lose();
      second.add("oci", "apiRequests", 1);
      await expect.poll(() => all.map(requests), SOON).toEqual([1, 1]);
      expect(await first.swap("oci", "apiRequests")).toBe(1);
      await expect.poll(() => all.map(requests), SOON).toEqual([0, 0]);
      expect(await second.swap("oci", "apiRequests")).toBe(0);
    }
  });

  it("rejects while Redis is away, and takes it all afterwards", async () => {
    const server = await redisServer();
    const one = await counter({ prefix: freshPrefix(), client: await client(server.url) });
    one.add("oci", "apiRequests", 3);
    await server.kill();
    await expect(one.swap("oci", "apiRequests")).rejects.toThrow();
    expect(requests(one)).toBe(3);
    await sleep(300);
    await expect(one.swap("oci", "apiRequests")).rejects.toThrow("not connected");
    await server.start();
    await expect.poll(() => one.isHealthy() && one.unpushedAll("oci").apiRequests, SOON).toBe(0);
    expect(await one.swap("oci", "apiRequests")).toBe(3);
  });

  it("loses what it took when the reply is lost, and never takes it twice", async () => {
    const redis = await patientClient();
    let isLosing = false;
    const losing: RedisClient = {
      status: "ready",
      isCluster: false,
      async call(command, args) {
        const reply = await redis.call(command, args);
        const isSwap = command.startsWith("eval") && args[1] === 1 && args.length === 4;
        if (isSwap && isLosing) throw new Error("the reply is lost");
        return reply;
      },
    };
    const prefix = freshPrefix();
    const [one, other] = [await counter({ prefix, client: losing }), await counter({ prefix })];
    one.add("oci", "apiRequests", 3);
    isLosing = true;
    await expect(one.swap("oci", "apiRequests")).rejects.toThrow("the reply is lost");
    isLosing = false;
    expect(await one.swap("oci", "apiRequests")).toBe(0);
    expect(await other.swap("oci", "apiRequests")).toBe(0);
    one.add("oci", "apiRequests", 4);
    expect(await one.swap("oci", "apiRequests")).toBe(4);
  });

  it("answers what it took of a period that is over when it can take no more", async () => {
    const redis = await patientClient();
    let isFailing = true;
    const failing: RedisClient = {
      status: "ready",
      isCluster: false,
      async call(command, args) {
        if (isFailing && command.startsWith("eval") && String(args[2]).includes(":2026-02:")) throw new Error("away");
        return redis.call(command, args);
      },
    };
    const clock = new ManualClock("2026-01-31T23:59:59.500Z");
    const one = await counter({ prefix: freshPrefix(), client: failing, clock });
    one.add("oci", "apiRequests", 3);
    clock.advance(1_000);
    one.add("oci", "apiRequests", 4);
    expect(await one.swap("oci", "apiRequests")).toBe(3);
    await expect(one.swap("oci", "apiRequests")).rejects.toThrow("away");
    isFailing = false;
    expect(await one.swap("oci", "apiRequests")).toBe(4);
  });
});
