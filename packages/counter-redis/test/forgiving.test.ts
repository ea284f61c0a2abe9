import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { memoryStore, systemClock } from "@usage/counter-core";
import { bucketOf, type MergeItem, type RedisCounterBackend, RedisSharedCounts } from "@usage/counter-redis";
import type {} from "@usage/test-servers/redis-setup";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { eventsOf } from "./support/events.ts";
import { exactCounter, openings } from "./support/exact.ts";
import { flush } from "./support/flush.ts";
import { redisServer } from "./support/servers.ts";
import { countsKey, keysOf, periodOf } from "./support/shared.ts";
import { SOON } from "./support/soon.ts";
import { TappedClient } from "./support/tapped-client.ts";

const WORKER = fileURLToPath(new URL("support/holding-worker.ts", import.meta.url));
const LEASE_MS = 1_000;

/** A process that held 40 of 100, of which it counted 5, and was killed. */
async function killed(prefix: string): Promise<void> {
  const args = ["--conditions=@usage/source", WORKER, inject("redisUrl"), prefix, String(LEASE_MS)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** It can keep so much free, if it asks again and again. */
async function canHold(counter: RedisCounterBackend, apiRequests: number): Promise<void> {
  await expect.poll(() => counter.hold("oci", { apiRequests }) !== undefined, SOON).toBe(true);
}

describe("what an instance that was killed keeps from others", () => {
  it("is written off by hand, once, by whoever asks first, and everybody is told how much it is", async () => {
    const [store, prefix] = [memoryStore(), freshPrefix()];
    await killed(prefix);
    const options = { prefix, leaseMs: LEASE_MS, claim: async () => [] };
    const [a, b] = [await exactCounter(store, 100, options), await exactCounter(store, 100, options)];
    const told = [eventsOf(a, "forgiven"), eventsOf(b, "forgiven")];
    await expect.poll(() => a.heldAll("oci").apiRequests, SOON).toBeGreaterThanOrEqual(35);
    const held = a.heldAll("oci").apiRequests;
    let forgiven: Awaited<ReturnType<typeof a.forgive>> = [];
    await expect
      .poll(async () => {
        forgiven = (await Promise.all([a.forgive("oci"), b.forgive("oci")])).flat();
        return forgiven.length;
      }, SOON)
      .toBe(1);
    expect(forgiven[0]?.usage.apiRequests).toBe(held);
    expect(told.flat()).toMatchObject([{ backend: "oci", writer: forgiven[0]?.writer, usage: { apiRequests: held } }]);
    expect(await a.forgive("oci")).toEqual([]);
    await canHold(a, 95);
    for (const one of [a, b]) {
      await expect.poll(() => one.standing("oci").forgiven?.apiRequests, SOON).toBe(held);
    }
    expect(a.totalAll("oci").apiRequests).toBe(5);
  }, 60_000);

  it("is written off after a while where that is wanted", async () => {
    const [store, prefix] = [memoryStore(), freshPrefix()];
    await killed(prefix);
    const options = { prefix, leaseMs: LEASE_MS, claim: async () => [] };
    const a = await exactCounter(store, 100, { ...options, forgiveAfterMs: 500 });
    const told = eventsOf(a, "forgiven");
    await canHold(a, 95);
    expect(told.map(({ backend }) => backend)).toEqual(["oci"]);
    expect(a.standing("oci").forgiven?.apiRequests).toBeGreaterThanOrEqual(35);
  }, 60_000);
});

describe("what an instance that was out of reach had, and others were given", () => {
  it("is not used by it any more, is within what everybody is told, and is nobody's after a loss either", async () => {
    const [store, prefix, claim, server] = [memoryStore(), freshPrefix(), openings(), await redisServer()];
    const options = { prefix, claim, leaseMs: LEASE_MS };
    const tapped = new TappedClient(await patientClient(server.url));
    const a = await exactCounter(store, 100, { ...options, client: tapped });
    const b = await exactCounter(store, 100, { ...options, client: await patientClient(server.url) });
    let kept: ReturnType<typeof a.hold>;
    await expect.poll(() => (kept = a.hold("oci", { apiRequests: 40 })), SOON).toBeDefined();
    await expect.poll(() => b.heldAll("oci").apiRequests, SOON).toBeGreaterThanOrEqual(40);
    tapped.fault = "rejects";
    const [forgiven] = await b.forgive("oci", { writer: a.writer });
    expect(forgiven?.usage.apiRequests).toBeGreaterThanOrEqual(40);
    let all: ReturnType<typeof b.hold>;
    await expect.poll(() => (all = b.hold("oci", { apiRequests: 100 })), SOON).toBeDefined();
    tapped.fault = "none";
    await expect.poll(() => a.standing("oci").forgiven, SOON).toEqual(forgiven?.usage);
    expect(a.fits("oci", { apiRequests: 1 })).toBe(false);
    kept?.void();
    all?.void();
    await expect.poll(() => a.heldAll("oci").apiRequests + b.heldAll("oci").apiRequests, SOON).toBe(0);
    await server.command("FLUSHALL");
    const whole = async (): Promise<boolean> => {
      for (const one of [a, b]) await flush(one, store);
      return b.hold("oci", { apiRequests: 100 }) !== undefined;
    };
    await expect.poll(whole, SOON).toBe(true);
  }, 90_000);
});

describe("the script that forgives", () => {
  const bucket = { period: periodOf("2026-01"), number: bucketOf("oci") };
  const item = (writer: string, granted: number): MergeItem => {
    return { backend: "oci", writer, own: [1], pairs: [{ granted, returned: 0, forgiven: 0 }] };
  };

  async function counts(): Promise<{ prefix: string; counts: RedisSharedCounts }> {
    const prefix = freshPrefix();
    const client = await patientClient();
    return { prefix, counts: new RedisSharedCounts({ client, prefix, dimensions: ["requests"], clock: systemClock }) };
  }

  it("takes nobody for silent who has said again that it holds what it holds", async () => {
    const { counts: shared } = await counts();
    for (const writer of ["v", "w"]) await shared.merge(bucket, writer, [item(writer, 10)]);
    await sleep(3_000);
    await shared.merge(bucket, "w", [item("w", 10)]);
    expect(await shared.forgive(bucket, "oci", { silentMs: 3_000 })).toEqual([{ writer: "v", amounts: [9] }]);
    expect(await shared.forgive(bucket, "oci", { silentMs: 0 })).toEqual([{ writer: "w", amounts: [9] }]);
  });

  it("takes nobody for silent for longer than since something was lost", async () => {
    const { prefix, counts: shared } = await counts();
    const redis = await patientClient();
    await shared.merge(bucket, "w", [item("w", 10)]);
    // It comes from a snapshot of long ago.
    await redis.hset(countsKey(prefix, "2026-01", "oci"), "!w", "1000 10 0 0");
    await redis.hset(keysOf(prefix, "2026-01", "oci").epoch, "run", "another");
    expect(await shared.forgive(bucket, "oci", { silentMs: 0 })).toEqual([]);
    await shared.merge(bucket, "v", [{ backend: "oci", writer: "v", own: [1] }]);
    expect(await shared.forgive(bucket, "oci", { silentMs: 60_000 })).toEqual([]);
    expect(await shared.forgive(bucket, "oci", { silentMs: 0 })).toEqual([{ writer: "w", amounts: [9] }]);
  });
});
