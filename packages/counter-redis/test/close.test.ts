import { setTimeout as sleep } from "node:timers/promises";
import { type FailedChore, RedisCounterBackend } from "@usage/counter-redis";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { client, counter, freshPrefix, manyCounters, patientClient } from "./support/counters.ts";
import { faultProxy, redisServer } from "./support/servers.ts";
import { SOON } from "./support/soon.ts";
import { TappedClient } from "./support/tapped-client.ts";

/** So seldom that only closing pushes. */
const SELDOM = { syncIntervalMs: 60_000 };

describe("closing a counter", () => {
  it("shares what is left", async () => {
    const prefix = freshPrefix();
    const first = await counter({ prefix, ...SELDOM });
    first.add("oci", "apiRequests", 5);
    first.add("b2", "egressBytes", 6);
    expect(first.unpushedAll("oci").apiRequests).toBe(5);
    await first.close();
    expect(first.unpushedAll("oci").apiRequests).toBe(0);
    const second = await counter({ prefix });
    expect([second.totalAll("oci").apiRequests, second.totalAll("b2").egressBytes]).toEqual([5, 6]);
  });

  it("may be done twice, and at once, by name or by leaving its scope", async () => {
    const redis = await client();
    const tapped = new TappedClient(redis);
    {
      await using one = await RedisCounterBackend.connect({ client: tapped, prefix: freshPrefix(), backends: ["oci"] });
      one.add("oci", "apiRequests", 1);
      const [first, second] = [one.close(), one.close()];
      await Promise.all([first, second]);
      const sent = tapped.sent.length;
      await one.close();
      expect(tapped.sent.length).toBe(sent);
    }
  });

  it("leaves the client open, to others too", async () => {
    const prefix = freshPrefix();
    const redis = await client();
    const [first, second] = await manyCounters(2, { prefix, client: redis });
    await first?.close();
    expect(redis.status).toBe("ready");
    expect(await redis.ping()).toBe("PONG");
    second?.add("oci", "apiRequests", 1);
    await expect.poll(() => second?.unpushedAll("oci").apiRequests, SOON).toBe(0);
  });

  it("ends every exchange; counting, reading and storing what was counted here go on", async () => {
    const tapped = new TappedClient(await patientClient());
    const one = await counter({ prefix: freshPrefix(), client: tapped });
    one.add("oci", "apiRequests", 1);
    await one.close();
    const sent = tapped.sent.length;
    one.add("oci", "apiRequests", 2);
    expect(one.totalAll("oci").apiRequests).toBe(3);
    const tallies = await one.tallies();
    expect(tallies).toEqual([
      { writer: one.writer, period: one.period().key, backend: "oci", usage: { apiRequests: 3 } },
    ]);
    one.confirm(tallies);
    expect(one.learn(one.period().key, new Map())).toEqual([]);
    await one.absorb([]);
    await sleep(400);
    expect(tapped.sent.length).toBe(sent);
  });

  it("tells that it could not share what is left, where nobody knows yet that Redis is away", async () => {
    const tapped = new TappedClient(await patientClient());
    const failures: FailedChore[] = [];
    for (const requests of [1, 0]) {
      tapped.fault = "none";
      const one = await counter({ prefix: freshPrefix(), client: tapped, ...SELDOM });
      one.onEvent((event) => void (event.kind === "failed" && failures.push(event)));
      one.add("oci", "apiRequests", requests);
      tapped.fault = "rejects";
      await one.close();
    }
    await sleep(10);
    expect(failures).toEqual([{ kind: "failed", chore: "close", error: new Error("Connection is closed.") }]);
  });

  it("does not reject while Redis is away, and keeps what it could not share", async () => {
    const server = await redisServer();
    const one = await counter({ prefix: freshPrefix(), client: await client(server.url) });
    await server.kill();
    one.add("oci", "apiRequests", 5);
    await one.close();
    expect(one.unpushedAll("oci").apiRequests).toBe(5);
    expect(await one.tallies()).toHaveLength(1);
  });

  it("waits for a Redis that does not answer no longer than for two replies", async () => {
    const { proxy, url } = await faultProxy(inject("redisUrl"));
    const redis = await patientClient(url);
    const one = await counter({ prefix: freshPrefix(), client: redis, pushTimeoutMs: 300 });
    onTestFinished(() => proxy.heal());
    proxy.blackHole = true;
    one.add("oci", "apiRequests", 5);
    await sleep(50);
    const started = performance.now();
    await one.close();
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it("right after connecting, or before anything was counted, is fine", async () => {
    const one = await RedisCounterBackend.connect({ client: await client(), prefix: freshPrefix(), backends: [] });
    await one.close();
    expect(await one.tallies()).toEqual([]);
  });
});
