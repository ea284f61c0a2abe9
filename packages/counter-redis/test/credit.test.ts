import { type Clock, memoryStore, systemClock } from "@usage/counter-core";
import type { RedisCounterBackend } from "@usage/counter-redis";
import { describe, expect, it } from "vitest";
import { freshPrefix } from "./support/counters.ts";
import { eventually, exactCounter, openings, takeAllOf } from "./support/exact.ts";
import { flush } from "./support/flush.ts";
import { SOON } from "./support/soon.ts";

/** The time runs on from wherever it is set to. */
class SetClock implements Clock {
  #aheadMs = 0;

  constructor(time: string) {
    this.set(time);
  }

  now(): number {
    return systemClock.now() + this.#aheadMs;
  }

  elapsed(): number {
    return systemClock.elapsed();
  }

  after(delayMs: number, callback: () => void): () => void {
    return systemClock.after(delayMs, callback);
  }

  set(time: string): void {
    this.#aheadMs = Date.parse(time) - systemClock.now();
  }
}

/** Instances with exact limits of 100 requests, at the same time. */
async function fleet(count: number, clock: Clock = systemClock): Promise<RedisCounterBackend[]> {
  const [store, prefix, claim] = [memoryStore(), freshPrefix(), openings()];
  const counters: RedisCounterBackend[] = [];
  for (let i = 0; i < count; i++) counters.push(await exactCounter(store, 100, { prefix, claim, clock }));
  return counters;
}

const used = (counter: RedisCounterBackend): number => counter.totalAll("oci").apiRequests;

describe("credit on top of exact limits", () => {
  it("is used up to the last unit by all who know of it, and not passed", async () => {
    const counters = await fleet(3);
    expect(await takeAllOf(counters, 100)).toBe(100);
    const { key } = (counters[0] as RedisCounterBackend).period();
    for (const counter of counters) counter.setCredit(key, "oci", { apiRequests: 50 });
    expect(await takeAllOf(counters, 50)).toBe(50);
    await expect.poll(() => counters.map(used), SOON).toEqual([150, 150, 150]);
  });

  it("that one instance alone knows of lets that one go on, and all of them no further than it does", async () => {
    const counters = await fleet(2);
    const [a, b] = counters as [RedisCounterBackend, RedisCounterBackend];
    expect(await takeAllOf(counters, 100)).toBe(100);
    const { key } = a.period();
    a.setCredit(key, "oci", { apiRequests: 50 });
    expect(await takeAllOf([a], 20)).toBe(21);
    await expect.poll(() => used(b), SOON).toBe(121);
    expect(b.tryAddAll("oci", { apiRequests: 1 })).toBe(false);
    b.setCredit(key, "oci", { apiRequests: 50 });
    expect(await eventually(b, "oci")).toBe(true);
    expect(await takeAllOf(counters, 28)).toBe(28);
    await expect.poll(() => counters.map(used), SOON).toEqual([150, 150]);
  });

  it("that is taken back leaves nobody a slice of it", async () => {
    const counters = await fleet(2);
    const [a, b] = counters as [RedisCounterBackend, RedisCounterBackend];
    const { key } = a.period();
    for (const counter of counters) counter.setCredit(key, "oci", { apiRequests: 50 });
    await expect.poll(() => a.hold("oci", { apiRequests: 140 }), SOON).toBeDefined();
    for (const counter of counters) counter.setCredit(key, "oci", {});
    expect([a.tryAddAll("oci", { apiRequests: 1 }), b.tryAddAll("oci", { apiRequests: 1 })]).toEqual([false, false]);
    expect(await takeAllOf(counters, 1)).toBe(0);
  });

  it("ends with its period: of the next one the limit alone may be used", async () => {
    const clock = new SetClock("2026-01-31T23:00:00Z");
    const counters = await fleet(2, clock);
    const [a] = counters as [RedisCounterBackend, RedisCounterBackend];
    for (const counter of counters) counter.setCredit("2026-01", "oci", { apiRequests: 50 });
    expect(await takeAllOf(counters, 150)).toBe(150);
    clock.set("2026-02-01T00:00:01Z");
    await expect.poll(() => counters.map((counter) => counter.period().key), SOON).toEqual(["2026-02", "2026-02"]);
    expect(a.limitsOf("oci")).toEqual({ apiRequests: 100 });
    const store = memoryStore();
    for (const counter of counters) await flush(counter, store);
    expect(await takeAllOf(counters, 100)).toBe(100);
    const { usage } = await store.totals("2026-01", a.writer);
    expect(usage.get("oci")?.all.apiRequests).toBe(150);
  });
});
