import { type Period, systemClock, type Tally } from "@usage/counter-core";
import { NotConnectedError, RedisCounterBackend, RefusedCountsError } from "@usage/counter-redis";
import type { Redis } from "ioredis";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { ODD_NAMES } from "../../counter-core/src/testing/odd-names.ts";
import { RedisSharedCounts } from "../src/redis-shared-counts.ts";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { redisServer } from "./support/servers.ts";
import { TappedClient } from "./support/tapped-client.ts";

const DAY_MS = 86_400_000;
const DIMENSIONS = ["requests", "bytes"];

describe("the shared counts on Redis", () => {
  const period: Period = { key: "2026-01", start: 0, end: Date.now() + DAY_MS };
  let redis: Redis;
  let tapped: TappedClient;
  let prefix: string;
  let counts: RedisSharedCounts;
  beforeEach(async () => {
    redis = await patientClient();
    tapped = new TappedClient(redis);
    prefix = freshPrefix();
    counts = countsOf(tapped);
  });

  function countsOf(through: TappedClient): RedisSharedCounts {
    return new RedisSharedCounts({
      client: through,
      prefix,
      dimensions: DIMENSIONS,
      clock: systemClock,
      replyTimeoutMs: 5_000,
    });
  }

  it("are a hash for each period and backend, and a set of the backends, which end 40 days after the period", async () => {
    await counts.register(period, ["oci"]);
    await counts.merge(period, [{ backend: "oci", writer: "w", own: [1, 2] }]);
    const key = `${prefix}:v1:2026-01:{oci}`;
    expect(await redis.hgetall(key)).toEqual({ requests: "1", bytes: "2", "w/requests": "1", "w/bytes": "2" });
    expect(await redis.smembers(`${prefix}:v1:2026-01:backends`)).toEqual(["oci"]);
    for (const ttl of [await redis.pttl(key), await redis.pttl(`${prefix}:v1:2026-01:backends`)]) {
      expect(ttl).toBeGreaterThan(41 * DAY_MS - 60_000);
      expect(ttl).toBeLessThanOrEqual(41 * DAY_MS);
    }
  });

  it("are merged by a script that is sent once, and again when the server has forgotten it", async () => {
    // One of its own: others' scripts are the same.
    redis = await patientClient((await redisServer()).url);
    tapped = new TappedClient(redis);
    counts = countsOf(tapped);
    const merge = (): Promise<unknown> => counts.merge(period, [{ backend: "oci", writer: "w", own: [1, 1] }]);
    await merge();
    await merge();
    await redis.script("FLUSH");
    expect(await merge()).toEqual([{ mark: "", amounts: [1, 1, 0, 1, 1, 0] }]);
    await merge();
    expect(tapped.sent).toEqual(["EVALSHA", "EVAL", "EVALSHA", "EVALSHA", "EVAL", "EVALSHA"]);
    await redis.script("FLUSH");
    expect(await counts.swap(period, "oci", "requests")).toEqual({ amount: 1, taken: 1 });
  });

  it("are under the client's own key prefix", async () => {
    const prefixed = countsOf(new TappedClient(await patientClient(inject("redisUrl"), { keyPrefix: `${prefix}!` })));
    await prefixed.register(period, ["oci"]);
    await prefixed.merge(period, [{ backend: "oci", writer: "w", own: [1, 2] }]);
    expect(await redis.hget(`${prefix}!${prefix}:v1:2026-01:{oci}`, "requests")).toBe("1");
    expect((await redis.keys(`*${prefix}:v1*`)).every((key) => key.startsWith(`${prefix}!`))).toBe(true);
    expect(await prefixed.read(period, ["oci"])).toEqual([{ tallies: [tally("w", "oci", { requests: 1, bytes: 2 })] }]);
    expect(await prefixed.registered(period)).toEqual(["oci"]);
    await prefixed.forget(period, "oci");
    expect(await prefixed.read(period, ["oci"])).toEqual([{ tallies: [] }]);
  });

  it("are told apart by names that break what is quoted or split, of backends and of writers", async () => {
    await counts.register(period, ODD_NAMES);
    expect([...(await counts.registered(period))].sort()).toEqual([...ODD_NAMES].sort());
    for (const [i, writer] of ODD_NAMES.entries()) {
      const requests = ODD_NAMES.map((backend, b) => ({ backend, writer, own: [100 * i + b + 1, 0] }));
      await counts.merge(period, requests);
    }
    const expected = ODD_NAMES.flatMap((backend, b) =>
      ODD_NAMES.map((writer, i) => tally(writer, backend, { requests: 100 * i + b + 1 })),
    );
    const read = (await counts.read(period, ODD_NAMES)).flatMap(({ tallies }) => tallies);
    expect(read).toHaveLength(expected.length);
    expect(new Set(read.map(textOf))).toEqual(new Set(expected.map(textOf)));
    // A `:` or a brace in a name is in no key: the prefix and the slot are what they seem to be.
    const keys = (await redis.keys(`${prefix}*`)).map((key) => key.slice(prefix.length));
    expect(keys.filter((key) => !/^:v1:2026-01:(\{[^{}:]+\}|backends)$/.test(key))).toEqual([]);
  });

  it("take more tallies of a backend at once than Lua passes on, and answer them all", async () => {
    const others = Array.from({ length: 9_000 }, (_, i) => tally(`writer/${i}`, "oci", { requests: i + 1, bytes: 1 }));
    const [reply] = await counts.merge(period, [{ backend: "oci", writer: "w", own: [1, 1], others, mark: "m" }]);
    expect(reply).toEqual({ mark: "m", amounts: [9_000 * 4_500.5 + 1, 0, 0, 9_001, 0, 0] });
    const [{ tallies } = { tallies: [] }] = await counts.read(period, ["oci"]);
    expect(tallies).toHaveLength(9_001);
  });

  it("answer an error only for the key that cannot be used, and take all others of the call", async () => {
    await redis.set(`${prefix}:v1:2026-01:{b1}`, "a string");
    await redis.hset(`${prefix}:v1:2026-01:{b3}`, { requests: "many" });
    const requests = ["b0", "b1", "b2", "b3"].map((backend) => ({ backend, writer: "w", own: [5, 0] }));
    const outcomes = await counts.merge(period, requests);
    const whole = { mark: "", amounts: [5, 0, 0, 0, 0, 0] };
    // The first try was refused before anything was written: all of it is done by the second.
    expect(outcomes).toEqual([whole, expect.any(RefusedCountsError), whole, expect.any(RefusedCountsError)]);
    const [, first, , second] = outcomes as RefusedCountsError[];
    expect(first?.key).toBe(`${prefix}:v1:2026-01:{b1}`);
    expect(first?.message).toContain(`${prefix}:v1:2026-01:{b1}`);
    expect(second?.key).toBe(`${prefix}:v1:2026-01:{b3}`);
    expect(second?.message).toContain("requests");
    const read = await counts.read(period, ["b0", "b1", "b2", "b3"]);
    const five = { requests: 5 };
    expect(read).toEqual([
      { tallies: [tally("w", "b0", five)] },
      { tallies: [], error: expect.any(RefusedCountsError) },
      { tallies: [tally("w", "b2", five)] },
      { tallies: [] },
    ]);
    expect(read[1]?.error?.message).toContain(`${prefix}:v1:2026-01:{b1}`);
  });

  it("read what are tallies, and nothing else that somebody put there, but say so", async () => {
    const key = `${prefix}:v1:2026-01:{oci}`;
    await redis.hset(key, { requests: 3, "requests:taken": 1, ":hydrated": "m", note: "x", "w/requests": 3 });
    await redis.hset(key, { "v/requests": "many", "u/requests": "9007199254740992", "t/requests": "-1" });
    const [spoilt, empty] = await counts.read(period, ["oci", "b2"]);
    expect(spoilt?.tallies).toEqual([tally("w", "oci", { requests: 3 })]);
    expect(spoilt?.error?.message).toMatch(
      new RegExp(`${key} cannot be used: it holds no count in the field [tuv]/requests`),
    );
    expect(empty).toEqual({ tallies: [] });
  });

  it("are asked for nothing while the client is not connected: commands would pile up in it", async () => {
    const ended = new Promise((resolve) => redis.once("end", resolve));
    redis.disconnect();
    await ended;
    const calls = [
      () => counts.merge(period, [{ backend: "oci", writer: "w", own: [1, 1] }]),
      () => counts.swap(period, "oci", "requests"),
      () => counts.read(period, ["oci"]),
      () => counts.forget(period, "oci"),
      () => counts.register(period, ["oci"]),
      () => counts.registered(period),
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

function tally(writer: string, backend: string, usage: Tally["usage"]): Tally {
  return { writer, period: "2026-01", backend, usage };
}

function textOf({ writer, backend, usage }: Tally): string {
  return JSON.stringify([writer, backend, usage]);
}
