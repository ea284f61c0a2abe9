import { setTimeout as sleep } from "node:timers/promises";
import { DrainConflictError, memoryStore } from "@usage/counter-core";
import type { RedisCounterBackend } from "@usage/counter-redis";
import { describe, expect, it } from "vitest";
import { counter, freshPrefix, patientClient } from "./support/counters.ts";
import { eventually, exactCounter, openings } from "./support/exact.ts";
import { flush } from "./support/flush.ts";
import { redisServer } from "./support/servers.ts";
import { SOON } from "./support/soon.ts";

const ONE = { apiRequests: 1 };

interface Admissions {
  readonly admitted: number;
  /** How many had been admitted when the first who waited was sent away. */
  readonly atFirstRefusal: number;
}

/** Turns of the event loop, of two milliseconds or more, that a request waits for a slice. */
const PATIENCE = 50;

/** All that is admitted by counters that share a limit until nobody is any more. Half of the load is on the first, and so on. */
async function useUp(counters: readonly RedisCounterBackend[], limit: number): Promise<Admissions> {
  let admitted = 0;
  let atFirstRefusal: number | undefined;
  const waited = counters.map(() => 0);
  for (let idle = 0; admitted <= limit && idle < 8 * PATIENCE; idle++) {
    for (const [i, counter] of counters.entries()) {
      for (let k = 0; k < Math.max(1, 16 >> (i + 1)); k++) {
        if (!counter.tryAddAll("oci", ONE)) {
          waited[i] = (waited[i] ?? 0) + 1;
          // Those behind wait as well.
          break;
        }
        admitted++;
        waited[i] = 0;
        idle = 0;
      }
      if (waited[i] === PATIENCE) atFirstRefusal ??= admitted;
    }
    await sleep(2);
  }
  return { admitted, atFirstRefusal: atFirstRefusal ?? admitted };
}

describe("exact limits", () => {
  it.each([2, 3, 8])("are used up to the last unit, and not passed, by %i instances", async (count) => {
    const [store, prefix, claim] = [memoryStore(), freshPrefix(), openings()];
    const counters: RedisCounterBackend[] = [];
    for (let i = 0; i < count; i++) counters.push(await exactCounter(store, 4_000, { prefix, claim }));
    const { admitted } = await useUp(counters, 4_000);
    expect(admitted).toBe(4_000);
    await expect
      .poll(() => counters.map((counter) => counter.totalAll("oci").apiRequests), SOON)
      .toEqual(counters.map(() => 4_000));
  });

  it("refuse nobody before 99.5 % of a large limit are used", async () => {
    const [store, prefix, claim] = [memoryStore(), freshPrefix(), openings()];
    const counters: RedisCounterBackend[] = [];
    for (let i = 0; i < 4; i++) counters.push(await exactCounter(store, 20_000, { prefix, claim }));
    const { admitted, atFirstRefusal } = await useUp(counters, 20_000);
    expect(admitted).toBe(20_000);
    expect(atFirstRefusal).toBeGreaterThanOrEqual(0.995 * 20_000);
  });

  it("hold one of twenty reservations that ask for most of a budget at once", async () => {
    const [store, prefix, claim] = [memoryStore(), freshPrefix(), openings()];
    const a = await exactCounter(store, 10_000, { prefix, claim });
    const b = await exactCounter(store, 10_000, { prefix, claim });
    const held = new Set<RedisCounterBackend>();
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 20; i++) {
        const one = i % 2 === 0 ? a : b;
        if (one.hold("oci", { apiRequests: 8_000 }) !== undefined) {
          expect(held.size).toBe(0);
          held.add(one);
        }
      }
      await sleep(10);
    }
    expect(held.size).toBe(1);
  });

  it("are given to who needs them by who does not, when idle, stopped, or let go of", async () => {
    const [store, prefix, claim] = [memoryStore(), freshPrefix(), openings()];
    const a = await exactCounter(store, 100, { prefix, claim });
    const b = await exactCounter(store, 100, { prefix, claim });
    // A reservation that is voided leaves a slice behind.
    let hold: ReturnType<typeof a.hold>;
    await expect.poll(() => (hold = a.hold("oci", { apiRequests: 90 })), SOON).toBeDefined();
    hold?.void();
    await expect.poll(() => b.hold("oci", { apiRequests: 95 })?.void(), SOON).toBeUndefined();
    let other: ReturnType<typeof b.hold>;
    await expect.poll(() => (other = b.hold("oci", { apiRequests: 95 })), SOON).toBeDefined();
    other?.void();
    await b.close();
    await expect.poll(() => a.hold("oci", { apiRequests: 100 }), SOON).toBeDefined();
  });

  it("that are lowered hold for who has more already, and that are raised can be used", async () => {
    const [store, prefix, claim] = [memoryStore(), freshPrefix(), openings()];
    const a = await exactCounter(store, 100, { prefix, claim });
    await expect.poll(() => a.tryAddAll("oci", { apiRequests: 60 }), SOON).toBe(true);
    await expect.poll(() => a.hold("oci", { apiRequests: 40 }), SOON).toBeDefined();
    a.setLimits("oci", { apiRequests: 80 });
    expect(a.tryAddAll("oci", ONE)).toBe(false);
    a.setLimits("oci", { apiRequests: 120 });
    expect(await eventually(a, "oci")).toBe(true);
  });

  it("wait for what nobody can know of a store and a Redis that are new to them: longer than a lease", async () => {
    const [store, prefix, claim] = [memoryStore(), freshPrefix(), openings()];
    const a = await exactCounter(store, 100, { prefix, claim });
    expect(await eventually(a, "oci")).toBe(true);
    // Somebody has opened it before: slices may be out.
    const started = performance.now();
    const b = await exactCounter(store, 100, { prefix: freshPrefix(), claim, leaseMs: 1_000 });
    expect(b.standing("oci")).toEqual({ mode: "exact", problem: "unready" });
    expect(await eventually(b, "oci")).toBe(true);
    expect(performance.now() - started).toBeGreaterThan(1_000);
    const { asOf, ...rest } = b.standing("oci");
    expect(rest).toEqual({ mode: "exact" });
    // A lease from the last exchange on, which is answered within a second.
    expect(asOf).toBeGreaterThan(Date.now() - 1_000);
    expect(asOf).toBeLessThanOrEqual(Date.now() + 1_001);
  });

  it("are not passed when Redis is wiped again and again, and are used up all the same", async () => {
    const [store, prefix, claim, redis] = [memoryStore(), freshPrefix(), openings(), await redisServer()];
    const url = redis.url;
    const options = { prefix, claim, leaseMs: 500 };
    const counters: RedisCounterBackend[] = [];
    for (let i = 0; i < 3; i++) {
      counters.push(await exactCounter(store, 4_000, { ...options, client: await patientClient(url) }));
    }
    const admin = await patientClient(url);
    let admitted = 0;
    let idle = 0;
    for (let round = 0; idle < 3_000 && admitted <= 4_000; round++) {
      const before = admitted;
      for (const counter of counters) for (let k = 0; k < 4; k++) if (counter.tryAddAll("oci", ONE)) admitted++;
      idle = admitted === before ? idle + 1 : 0;
      if (round % 100 === 50) for (const counter of counters) await flush(counter, store);
      if (round % 700 === 300 && admitted < 3_500) await admin.flushall();
      if (admitted === 4_000) break;
      await sleep(2);
    }
    expect(admitted).toBe(4_000);
    for (let i = 0; i < 100; i++) {
      for (const counter of counters) expect(counter.tryAddAll("oci", ONE)).toBe(false);
      await sleep(5);
    }
  }, 60_000);

  it("refuse after a lease without an answer, say so, and go on by themselves", async () => {
    const [store, prefix, claim, redis] = [memoryStore(), freshPrefix(), openings(), await redisServer()];
    const options = { prefix, claim, leaseMs: 800, pushTimeoutMs: 200 };
    const a = await exactCounter(store, 1_000, { ...options, client: await patientClient(redis.url) });
    let hold: ReturnType<typeof a.hold>;
    await expect.poll(() => (hold = a.hold("oci", { apiRequests: 500 })), SOON).toBeDefined();
    hold?.count({ apiRequests: 10 });
    hold?.void();
    expect(a.fits("oci", ONE)).toBe(true);
    redis.pause();
    await expect.poll(() => a.fits("oci", ONE), SOON).toBe(false);
    expect(a.standing("oci")).toEqual({ mode: "exact", problem: "offline" });
    redis.resume();
    expect(await eventually(a, "oci")).toBe(true);
  });

  it("refuse what a hold gives back after a lease without an answer, however long it was open", async () => {
    const [store, prefix, claim, redis] = [memoryStore(), freshPrefix(), openings(), await redisServer()];
    const options = { prefix, claim, leaseMs: 500, pushTimeoutMs: 200 };
    const a = await exactCounter(store, 1_000, { ...options, client: await patientClient(redis.url) });
    let hold: ReturnType<typeof a.hold>;
    await expect.poll(() => (hold = a.hold("oci", { apiRequests: 500 })), SOON).toBeDefined();
    // Long enough for all that is idle to be given back.
    await sleep(3_000);
    redis.pause();
    await sleep(1_000);
    hold?.void();
    expect(a.fits("oci", ONE)).toBe(false);
    redis.resume();
    expect(await eventually(a, "oci")).toBe(true);
  });

  it("cannot be had together with counts that are taken out", async () => {
    const a = await exactCounter(memoryStore(), 10, { prefix: freshPrefix(), claim: openings() });
    expect(() => a.swap("oci", "apiRequests")).toThrow(DrainConflictError);
    expect(() => a.swapAllBackends()).toThrow(DrainConflictError);
  });

  it("count what instances use beside them that ask for nothing; once that is seen, nobody is granted more", async () => {
    const [store, prefix] = [memoryStore(), freshPrefix()];
    const exact = await exactCounter(store, 100, { prefix });
    const other = await counter({ prefix });
    other.setLimits("oci", { apiRequests: 100 });
    let hold: ReturnType<typeof exact.hold>;
    await expect.poll(() => (hold = exact.hold("oci", { apiRequests: 60 })), SOON).toBeDefined();
    // It sees what is held, and may pass the limit by what it uses at once.
    await expect.poll(() => other.heldAll("oci").apiRequests, SOON).toBe(60);
    other.addAll("oci", { apiRequests: 70 });
    await expect.poll(() => exact.totalAll("oci").apiRequests, SOON).toBe(70);
    hold?.count({ apiRequests: 20 });
    hold?.void();
    // 90 are counted: ten may still be had, by either.
    await expect.poll(() => other.totalAll("oci").apiRequests, SOON).toBe(90);
    expect(exact.fits("oci", { apiRequests: 11 })).toBe(false);
    await expect.poll(() => exact.tryAddAll("oci", { apiRequests: 10 }), SOON).toBe(true);
    expect(exact.fits("oci", ONE)).toBe(false);
    await expect.poll(() => other.tryAddAll("oci", ONE), SOON).toBe(false);
  });
});
