import type { Tally } from "@usage/counter-core";
import { ManualClock, memoryStore } from "@usage/counter-core/testing";
import { RedisCounterBackend, type SharedCounts } from "@usage/counter-redis";
import type { Redis } from "ioredis";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { RedisSharedCounts } from "../src/server/redis-shared-counts.ts";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { flush } from "./support/flush.ts";
import { countsKey, sharedSum } from "./support/shared.ts";

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

  it("is shared again when the counts were lost between its parts, though nothing else shows it", async () => {
    const store = memoryStore();
    await store.merge(Array.from({ length: 1_100 }, (_, i) => row(`dead-${i}`, "oci", 1)));
    const other = await counter();
    other.add("oci", "apiRequests", 10);
    await other.sync();
    let parts = 0;
    const losing: SharedCounts = Object.create(counts, {
      batchSize: { value: counts.batchSize },
      isDivided: { value: false },
      merge: {
        async value(...[bucket, run, items]: Parameters<SharedCounts["merge"]>) {
          const reply = await counts.merge(bucket, run, items);
          if (items.some(({ rows }) => rows !== undefined) && ++parts === 2) {
            await redis.del(countsKey(prefix, "2026-01", "oci"));
            // More than what was lost.
            other.add("oci", "apiRequests", 10_000);
            await other.sync();
          }
          return reply;
        },
      },
      ...Object.fromEntries(
        (
          ["versions", "changed", "count", "owing", "changedSince", "tallies", "report", "oweAll", "forget"] as const
        ).map((name) => [name, { value: (counts[name] as () => unknown).bind(counts) }]),
      ),
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
