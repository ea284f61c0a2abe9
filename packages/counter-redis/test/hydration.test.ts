import type { Tally, UsageStore } from "@usage/counter-core";
import { memoryStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { RedisCounterBackend, type SharedCounts } from "@usage/counter-redis";
import type { Redis } from "ioredis";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { RedisSharedCounts } from "../src/server/redis-shared-counts.ts";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { eventsOf } from "./support/events.ts";
import { flush } from "./support/flush.ts";
import { countsKey, over, sharedSum } from "./support/shared.ts";

const NOW = "2026-01-15T12:00:00Z";

describe("what the store knows", () => {
  let redis: Redis;
  let prefix: string;
  let counts: RedisSharedCounts;
  beforeEach(async () => {
    redis = await patientClient();
    prefix = freshPrefix();
    const dimensions = ["apiRequests", "egressBytes", "ingressBytes"];
    counts = new RedisSharedCounts({ client: redis, prefix, dimensions, clock: new ManualClock(NOW) });
  });

  /** Its clock stands still: it exchanges only what it is told to. */
  async function counter(shared: SharedCounts = counts): Promise<RedisCounterBackend> {
    const one = new RedisCounterBackend(shared, { backends: ["oci"], clock: new ManualClock(NOW) });
    await one.start();
    onTestFinished(() => one.close());
    return one;
  }

  const refresh = async (one: RedisCounterBackend, store: UsageStore): Promise<void> => {
    const { usage } = await store.totals("2026-01", one.writer);
    await one.absorb(await store.tallies("2026-01", one.learn("2026-01", usage)));
  };
  const row = (writer: string, backend: string, apiRequests: number): Tally => ({
    writer,
    period: "2026-01",
    backend,
    usage: { apiRequests },
  });
  const shared = (backend: string): Promise<number> => sharedSum(redis, countsKey(prefix, "2026-01", backend));

  it("is shared where Redis lacks it, and with one who comes later", async () => {
    const store = memoryStore();
    await store.merge([row("dead", "oci", 5), row("dead", "later", 7)]);
    const one = await counter();
    await flush(one, store);
    await one.sync();
    await flush(one, store);
    expect(await shared("oci")).toBe(5);
    await one.ensure(["later"], (period, names) => store.tallies(period, names));
    expect(one.totalAll("later").apiRequests).toBe(7);
    await one.sync();
    await flush(one, store);
    await one.sync();
    await flush(one, store);
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
    const one = await counter(
      over(counts, {
        merge: async (bucket, run, items) => {
          if (fails && items.some(({ mark }) => mark !== undefined)) throw Object.assign(new Error(message), { name });
          return counts.merge(bucket, run, items);
        },
      }),
    );
    const failures = eventsOf(one, "failed");
    const told: number[] = [];
    for (let i = 0; i < attempts + 2; i++) {
      await refresh(one, store);
      told.push(failures.length);
    }
    expect(told).toEqual([...Array.from({ length: attempts - 1 }, () => 0), 1, 1, 1]);
    expect(failures).toEqual([{ kind: "failed", chore: "hydrate", error: expect.any(Error) }]);
    expect(String(one.lastError())).toBe(text);
    fails = false;
    await refresh(one, store);
    expect(one.lastError()).toBe(undefined);
    expect(await shared("oci")).toBe(5);
  });

  it("is shared once its key can be used, also where it could not be when the rows were read", async () => {
    const store = memoryStore();
    await store.merge([row("dead", "oci", 5)]);
    const clock = new ManualClock(NOW);
    const one = new RedisCounterBackend(counts, { backends: ["oci"], clock, probeIntervalMs: 100 });
    await one.start();
    onTestFinished(() => one.close());
    await redis.set(countsKey(prefix, "2026-01", "oci"), "x");
    await refresh(one, store);
    expect(one.refused()).toEqual(["oci"]);
    await redis.del(countsKey(prefix, "2026-01", "oci"));
    clock.advance(100);
    await one.sync();
    // Another reader of the store would be told of nothing new.
    await one.absorb(await store.tallies("2026-01", one.learn("2026-01", new Map(), [])));
    expect(await shared("oci")).toBe(5);
  });

  it("is shared again when the counts were lost between its parts, though nothing else shows it", async () => {
    const store = memoryStore();
    await store.merge(Array.from({ length: 1_100 }, (_, i) => row(`dead-${i}`, "oci", 1)));
    const other = await counter();
    other.add("oci", "apiRequests", 10);
    await other.sync();
    let parts = 0;
    const losing = over(counts, {
      async merge(bucket, run, items) {
        const reply = await counts.merge(bucket, run, items);
        if (items.some(({ rows }) => rows !== undefined) && ++parts === 2) {
          await redis.del(countsKey(prefix, "2026-01", "oci"));
          // More than what was lost.
          other.add("oci", "apiRequests", 10_000);
          await other.sync();
        }
        return reply;
      },
    });
    const one = await counter(losing);
    for (let i = 0; i < 3; i++) {
      await flush(one, store);
      await one.sync();
    }
    expect(await shared("oci")).toBe(10_010 + 1_100);
    const before = parts;
    await flush(one, store);
    expect(parts).toBe(before);
  });
});
