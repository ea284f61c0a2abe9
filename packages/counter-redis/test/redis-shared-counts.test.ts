import { ManualClock } from "@usage/counter-core/testing";
import { NotConnectedError, RedisCounterBackend, RefusedCountsError } from "@usage/counter-redis";
import type { Redis } from "ioredis";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { ODD_NAMES } from "../../counter-core/src/testing/odd-names.ts";
import { type Bucket, bucketOf } from "../src/server/keys.ts";
import { RedisSharedCounts } from "../src/server/redis-shared-counts.ts";
import type { MergedItem } from "../src/server/shared-counts.ts";
import { client, freshPrefix, patientClient } from "./support/counters.ts";
import { countsKey, keysOf, sharedSum } from "./support/shared.ts";
import { TappedClient } from "./support/tapped-client.ts";

const DIMENSIONS = ["requests", "bytes"];
const DAY_MS = 86_400_000;
const RETENTION_MS = 40 * DAY_MS;
const period = { key: "2026-01", start: Date.UTC(2026, 0, 1), end: Date.UTC(2026, 1, 1) };

describe("the shared counts in Redis", () => {
  let redis: Redis;
  let tapped: TappedClient;
  let prefix: string;
  let counts: RedisSharedCounts;
  const bucketWith = (backend: string): Bucket => ({ period, number: bucketOf(backend) });
  beforeEach(async () => {
    redis = await patientClient();
    tapped = new TappedClient(redis);
    prefix = freshPrefix();
    const clock = new ManualClock(period.end - DAY_MS);
    counts = new RedisSharedCounts({ client: tapped, prefix, dimensions: DIMENSIONS, clock });
  });

  it("end 40 days after their period, by the clock of who pushes, and have a key for each backend and three for a bucket", async () => {
    await counts.merge(bucketWith("oci"), "w", [{ backend: "oci", writer: "w", own: [1, 2] }]);
    const { epoch, changes, version } = keysOf(prefix, "2026-01", "oci");
    const keys = [epoch, changes, version, countsKey(prefix, "2026-01", "oci")];
    expect((await redis.keys(`${prefix}*`)).sort()).toEqual([...keys].sort());
    expect(keys.every((key) => key.startsWith(`${prefix}:v2:{2026-01/20}`))).toBe(true);
    for (const key of keys) {
      const ttl = await redis.pttl(key);
      expect(ttl).toBeGreaterThan(RETENTION_MS);
      expect(ttl).toBeLessThanOrEqual(RETENTION_MS + DAY_MS);
    }
  });

  it("end three minutes after the minute, where a period is one", async () => {
    const minute = { key: "minute:2026-01-30T23:59", start: period.end - DAY_MS - 60_000, end: period.end - DAY_MS };
    const bucket = { period: minute, number: bucketOf("oci") };
    await counts.merge(bucket, "w", [{ backend: "oci", writer: "w", own: [1, 2] }]);
    const ttl = await redis.pttl(countsKey(prefix, minute.key, "oci"));
    expect(ttl).toBeGreaterThan(2 * 60_000);
    expect(ttl).toBeLessThanOrEqual(3 * 60_000);
  });

  it("have a key and a bucket for each name, whatever is in it, and tell the names as they are", async () => {
    for (const [i, name] of ODD_NAMES.entries()) {
      await counts.merge(bucketWith(name), "w", [{ backend: name, writer: "w", own: [i + 1, 0] }]);
    }
    for (const [i, name] of ODD_NAMES.entries()) {
      expect(await sharedSum(redis, countsKey(prefix, "2026-01", name), "requests")).toBe(i + 1);
      expect(await counts.changedSince(bucketWith(name), 0)).toContain(name);
      const [read] = await counts.tallies(bucketWith(name), [name]);
      expect(read).toEqual({ tallies: [expect.objectContaining({ writer: "w", backend: name })] });
    }
    const names = ["epoch", "changes", "v"];
    expect(new Set(names.map((name) => countsKey(prefix, "2026-01", name)))).toHaveProperty("size", 3);
    for (const name of names) {
      const { epoch, changes, version } = keysOf(prefix, "2026-01", name);
      expect([epoch, changes, version]).not.toContain(countsKey(prefix, "2026-01", name));
    }
  });

  it("put a client's own prefix before every key", async () => {
    const own = await client(inject("redisUrl"), { keyPrefix: `${prefix}!`, commandTimeout: 10_000 });
    const prefixed = new RedisSharedCounts({
      client: own,
      prefix,
      dimensions: DIMENSIONS,
      clock: new ManualClock(period.start),
    });
    const bucket = bucketWith("oci");
    await prefixed.merge(bucket, "w", [{ backend: "oci", writer: "w", own: [1, 0] }]);
    expect(await redis.exists(`${prefix}!${countsKey(prefix, "2026-01", "oci")}`)).toBe(1);
    expect(await prefixed.count(bucket, ["oci"])).toBe(1);
    expect((await prefixed.versions([bucket]))[0]).not.toBe("");
    expect((await prefixed.owing(bucket)).owed).toMatchObject([{ run: "w", since: 1, last: 1 }]);
    await prefixed.forget(bucket, "oci");
    expect(await prefixed.count(bucket, ["oci"])).toBe(0);
  });

  it("return an error only for a key that cannot be used, change nothing of it, and take all others of the call", async () => {
    // All in one bucket.
    const names = ["acme", "backblaze", "oci", "leo"];
    const bucket = bucketWith("acme");
    await redis.set(keysOf(prefix, "2026-01", "acme").counts("backblaze"), "a string");
    await redis.hset(keysOf(prefix, "2026-01", "acme").counts("oci"), { ":d": "requests bytes", ":s": "many 0" });
    const items = names.map((backend) => ({ backend, writer: "w", own: [5, 0] }));
    const reply = await counts.merge(bucket, "w", items);
    const whole = { exists: true, isWhole: false, sums: [5, 0], own: [5, 0] };
    expect(reply.items).toEqual([whole, expect.any(RefusedCountsError), expect.any(RefusedCountsError), whole]);
    const [, first, second] = reply.items as RefusedCountsError[];
    expect(first?.message).toContain(`${keysOf(prefix, "2026-01", "acme").counts("backblaze")} cannot be used`);
    expect(second?.message).toContain(":s");
    expect(await redis.hgetall(keysOf(prefix, "2026-01", "acme").counts("oci"))).toEqual({
      ":d": "requests bytes",
      ":s": "many 0",
    });
  });

  it("refuse a sum that would pass 2^53-1, and are exact up to it", async () => {
    const bucket = bucketWith("oci");
    const max = Number.MAX_SAFE_INTEGER;
    const merge = async (writer: string, own: readonly number[]) =>
      (await counts.merge(bucket, writer, [{ backend: "oci", writer, own }])).items[0];
    expect(await merge("a", [max - 1, 0])).toMatchObject({ sums: [max - 1, 0] });
    expect(await merge("b", [1, 0])).toMatchObject({ sums: [max, 0], own: [1, 0] });
    expect(await merge("c", [1, 5])).toBeInstanceOf(RefusedCountsError);
    expect(await merge("b", [1, 0])).toMatchObject({ sums: [max, 0] });
  });

  it("keep dimensions apart by name, in whatever order instances have them, and those that only others have", async () => {
    const bucket = bucketWith("oci");
    await counts.merge(bucket, "w", [{ backend: "oci", writer: "w", own: [1, 20] }]);
    const clock = new ManualClock(period.start);
    const others = new RedisSharedCounts({ client: redis, prefix, dimensions: ["tokens", "bytes"], clock });
    const reply = await others.merge(bucket, "v", [{ backend: "oci", writer: "v", own: [300, 4] }]);
    expect((reply.items[0] as MergedItem).sums).toEqual([300, 24]);
    const again = await counts.merge(bucket, "w", [{ backend: "oci", writer: "w", own: [2, 20] }]);
    expect((again.items[0] as MergedItem).sums).toEqual([2, 24]);
    const [read] = await counts.tallies(bucket, ["oci"]);
    expect(read?.tallies.find(({ writer }) => writer === "v")?.usage).toEqual({ tokens: 300, bytes: 4 });
  });

  it("read what are tallies, and nothing else that somebody put there, but say so; one spoilt key hides no other", async () => {
    // All in one bucket.
    const [key, string] = ["oci", "leo"].map((name) => countsKey(prefix, "2026-01", name)) as [string, string];
    await redis.hset(key, { ":d": "requests", ":s": "3", ":": "m", note: "x", "/w": "3", "/v": "many", "/t": "-1" });
    await redis.set(string, "x");
    await counts.merge(bucketWith("oci"), "w", [{ backend: "acme", writer: "w", own: [5, 0] }]);
    const tally = { writer: "w", period: "2026-01" };
    const [spoilt, wrong, whole, none] = await counts.tallies(bucketWith("oci"), ["oci", "leo", "acme", "backblaze"]);
    expect(spoilt?.tallies).toEqual([{ ...tally, backend: "oci", usage: { requests: 3 } }]);
    expect(spoilt?.error?.message).toMatch(`${key} cannot be used: it holds no counts in the field /`);
    expect(wrong).toEqual({ tallies: [], error: expect.any(RefusedCountsError) });
    expect(wrong?.error?.message).toContain(string);
    expect(whole).toEqual({ tallies: [{ ...tally, backend: "acme", usage: { requests: 5 } }] });
    expect(none).toEqual({ tallies: [] });
  });

  it("say of more amounts than dimensions, and of amounts without any, that they are no counts", async () => {
    const key = countsKey(prefix, "2026-01", "oci");
    const read = async () => (await counts.tallies(bucketWith("oci"), ["oci"]))[0];
    await redis.hset(key, { ":d": "requests", ":s": "3", "/w": "3 4" });
    expect(await read()).toMatchObject({ tallies: [{ usage: { requests: 3 } }], error: { key } });
    await redis.hdel(key, ":d");
    expect(await read()).toMatchObject({ tallies: [], error: { key } });
  });

  it.each([["epoch"], ["changes"]] as const)(
    "name the key of a bucket that holds something else (%s)",
    async (which) => {
      const bucket = bucketWith("oci");
      const keys = keysOf(prefix, "2026-01", "oci");
      await counts.merge(bucket, "w", [{ backend: "oci", writer: "w", own: [5, 0] }]);
      await redis.set(keys[which], "x");
      const calls = [
        () => counts.merge(bucket, "w", [{ backend: "oci", writer: "w", own: [6, 0] }]),
        () => counts.changed(bucket, "", 0),
        () => counts.owing(bucket),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ key: keys[which], isRight: false });
      expect(await sharedSum(redis, keys.counts("oci"), "requests")).toBe(5);
    },
  );

  it("are asked for nothing while the client is not connected: commands would pile up in it", async () => {
    const ended = new Promise((resolve) => redis.once("end", resolve));
    redis.disconnect();
    await ended;
    const bucket = bucketWith("oci");
    const calls = [
      () => counts.merge(bucket, "w", [{ backend: "oci", writer: "w", own: [1, 1] }]),
      () => counts.versions([bucket]),
      () => counts.changed(bucket, "", 0),
      () => counts.count(bucket, ["oci"]),
      () => counts.owing(bucket),
      () => counts.changedSince(bucket, 0),
      () => counts.tallies(bucket, ["oci"]),
      () => counts.report(bucket, "e", []),
      () => counts.oweAll(bucket),
      () => counts.forget(bucket, "oci"),
    ];
    for (const call of calls) await expect(call()).rejects.toThrow(NotConnectedError);
    await expect(calls[0]?.()).rejects.toThrow('"end"');
    expect(tapped.sent).toEqual([]);
  });

  it.each(["", "a{b", "a}b", "a\nb", "x".repeat(129), "\ud800", 5])("do not take the prefix %j", async (wrong) => {
    const connect = RedisCounterBackend.connect({ client: redis, prefix: wrong as string, backends: ["oci"] });
    await expect(connect).rejects.toThrow(RangeError);
    await expect(connect).rejects.toThrow("prefix");
  });
});
