import { setImmediate as turn } from "node:timers/promises";
import { type Tally, type UsageStore, utcMonths } from "@usage/counter-core";
import { ManualClock, memoryStore } from "@usage/counter-core/testing";
import { type FailedChore, RedisCounterBackend, type SharedCounts } from "@usage/counter-redis";
import type { Redis } from "ioredis";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { RedisSharedCounts } from "../src/redis-shared-counts.ts";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { flush } from "./support/flush.ts";

const NOW = "2026-01-15T12:00:00Z";

describe("what the store knows", () => {
  let redis: Redis;
  let prefix: string;
  let counts: RedisSharedCounts;
  beforeEach(async () => {
    redis = await patientClient();
    prefix = freshPrefix();
    const clock = new ManualClock(NOW);
    const dimensions = ["apiRequests", "egressBytes", "ingressBytes"];
    counts = new RedisSharedCounts({ client: redis, prefix, dimensions, clock, replyTimeoutMs: 10_000 });
  });

  /** Its clock stands still: it exchanges only what it is told to. */
  async function counter(shared: SharedCounts = counts): Promise<RedisCounterBackend> {
    const one = new RedisCounterBackend(shared, { backends: ["oci"], clock: new ManualClock(NOW) });
    await one.start();
    onTestFinished(() => one.close());
    return one;
  }

  /** For a test that does one thing in another way. */
  const sharedCounts = (): SharedCounts => ({
    batchSize: counts.batchSize,
    merge: (...args) => counts.merge(...args),
    swap: (...args) => counts.swap(...args),
    read: (...args) => counts.read(...args),
    forget: (...args) => counts.forget(...args),
    register: (...args) => counts.register(...args),
    registered: (...args) => counts.registered(...args),
  });
  const refresh = async (one: RedisCounterBackend, store: UsageStore): Promise<void> =>
    one.absorb(await store.tallies("2026-01", one.observe("2026-01", await store.totals("2026-01", one.writer))));
  const row = (writer: string, backend: string, apiRequests: number): Tally => ({
    writer,
    period: "2026-01",
    backend,
    usage: { apiRequests },
  });
  const shared = async (backend: string): Promise<number> =>
    Number(await redis.hget(`${prefix}:v1:2026-01:{${backend}}`, "apiRequests"));

  it("of each backend is shared, when two of those who ask for it overlap", async () => {
    const store = memoryStore();
    await store.merge([row("dead", "oci", 5), row("dead", "later", 7)]);
    const one = await counter();
    const observe = async () => one.observe("2026-01", await store.totals("2026-01", one.writer));
    const first = await store.tallies("2026-01", await observe());
    one.addBackends(["later"]);
    await one.sync();
    const second = await store.tallies("2026-01", await observe());
    await one.absorb(first);
    await one.absorb(second);
    expect(await shared("oci")).toBe(5);
    expect(await shared("later")).toBe(7);
  });

  it.each([
    ["at once, where Redis says that it cannot be", "ReplyError: ERR too many results to unpack", 1],
    ["once it goes on, where Redis is away for that only", "Error: Connection is closed.", 2],
  ])("and cannot be shared is told %s", async (_, text, attempts) => {
    const store = memoryStore();
    await store.merge([row("dead", "oci", 5)]);
    const [name = "", message = ""] = text.split(": ");
    let fails = true;
    const one = await counter({
      ...sharedCounts(),
      merge: async (period, requests) => {
        if (fails && requests.some(({ mark }) => mark !== undefined)) throw Object.assign(new Error(message), { name });
        return counts.merge(period, requests);
      },
    });
    const failures: FailedChore[] = [];
    one.events.on("failed", (failure) => failures.push(failure));
    for (let i = 1; i < attempts; i++) await refresh(one, store);
    await turn();
    expect(failures).toEqual([]);
    const told = [];
    for (let i = 0; i < 3; i++) {
      await refresh(one, store);
      await turn();
      told.push(failures.length);
    }
    expect(told).toEqual([1, 1, 1]);
    expect(failures).toEqual([{ event: "failed", chore: "hydrate", error: expect.any(Error) }]);
    expect(String(one.lastError())).toBe(text);
    fails = false;
    await refresh(one, store);
    expect(one.lastError()).toBe(undefined);
    expect(await shared("oci")).toBe(5);
  });

  it("is shared again when the counts were lost between its parts, though nothing else shows it", async () => {
    const store = memoryStore();
    await store.merge(Array.from({ length: 1_100 }, (_, i) => row(`dead-${i}`, "oci", 1)));
    const other = await counter();
    other.add("oci", "apiRequests", 10);
    await other.sync();
    let parts = 0;
    const losing: SharedCounts = {
      ...sharedCounts(),
      async merge(period, requests) {
        const outcomes = await counts.merge(period, requests);
        if (requests.some(({ others }) => others !== undefined) && ++parts === 2) {
          await counts.forget(utcMonths.at(Date.parse(NOW)), "oci");
          // More than what was lost.
          other.add("oci", "apiRequests", 10_000);
          await other.sync();
        }
        return outcomes;
      },
    };
    const one = await counter(losing);
    for (let i = 0; i < 2; i++) await flush(one, store);
    expect(await shared("oci")).toBe(10_010 + 1_100);
    const before = parts;
    await flush(one, store);
    expect(parts).toBe(before);
  });
});
