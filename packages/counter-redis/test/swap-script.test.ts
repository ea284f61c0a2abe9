import type { Redis } from "ioredis";
import { beforeEach, describe, expect, it } from "vitest";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { held, merge, swap } from "./support/scripts.ts";

const MAX = Number.MAX_SAFE_INTEGER;

describe("swap.lua", () => {
  let redis: Redis;
  let key: string;
  beforeEach(async () => {
    redis = await patientClient();
    key = freshPrefix();
  });

  it("answers what was counted and not taken before, and all that was ever taken", async () => {
    await merge(redis, [{ key, fields: { "w/requests": 5, "v/requests": 2, "w/bytes": 9 } }]);
    expect(await swap(redis, key, "requests")).toEqual([7, 7]);
    expect(await swap(redis, key, "requests")).toEqual([0, 7]);
    await merge(redis, [{ key, fields: { "v/requests": 3 } }]);
    expect(await swap(redis, key, "requests")).toEqual([1, 8]);
  });

  it("changes nothing but the field that says what was taken of this dimension", async () => {
    await merge(redis, [{ key, mark: "m", fields: { "w/requests": 5, "w/bytes": 9 } }]);
    const before = await held(redis, key);
    const ttl = await redis.pttl(key);
    await swap(redis, key, "bytes");
    expect(await held(redis, key)).toEqual({ ...(before as object), "bytes:taken": "9" });
    expect(await redis.pttl(key)).toBeLessThanOrEqual(ttl);
  });

  it("takes nothing where nothing was counted, and leaves nothing behind", async () => {
    expect(await swap(redis, key, "requests")).toEqual([0, 0]);
    expect(await redis.exists(key)).toBe(0);
  });

  it("takes nothing of what was taken before the counts were lost", async () => {
    await merge(redis, [{ key, fields: { "w/requests": 5, "requests:taken": 7 } }]);
    expect(await swap(redis, key, "requests")).toEqual([0, 7]);
    await merge(redis, [{ key, fields: { "w/requests": 8 } }]);
    expect(await swap(redis, key, "requests")).toEqual([1, 8]);
  });

  it("is exact up to 2^53-1", async () => {
    await merge(redis, [{ key, fields: { "w/requests": MAX, "w/bytes": MAX - 2 } }]);
    expect(await swap(redis, key, "requests")).toEqual([MAX, MAX]);
    expect(await swap(redis, key, "requests")).toEqual([0, MAX]);
    expect(await swap(redis, key, "bytes")).toEqual([MAX - 2, MAX - 2]);
    expect(await redis.hget(key, "requests:taken")).toBe("9007199254740991");
  });

  it("gives each count to one of many who ask at once", async () => {
    await merge(redis, [{ key, fields: { "w/requests": 100 } }]);
    const takers = await Promise.all(Array.from({ length: 5 }, () => patientClient()));
    const taken = await Promise.all(takers.map((taker) => swap(taker, key, "requests")));
    expect(taken.map(([amount]) => amount ?? 0).sort((a, b) => a - b)).toEqual([0, 0, 0, 0, 100]);
  });

  it.each(["-1", "1.5", "nan", "", " 1", "9007199254740992", "one"])(
    "changes nothing, and names the key and the field, when one holds %j",
    async (value) => {
      for (const field of ["requests", "requests:taken"]) {
        await redis.del(key);
        await redis.hset(key, { requests: 7, "requests:taken": 3, [field]: value });
        const before = await held(redis, key);
        const call = swap(redis, key, "requests");
        await expect(call).rejects.toThrow(/^USAGE /);
        await expect(call).rejects.toThrow(`${key} holds no count in the field ${field}`);
        expect(await held(redis, key)).toEqual(before);
      }
    },
  );

  it("changes nothing when the key holds something else", async () => {
    await redis.set(key, "x");
    await expect(swap(redis, key, "requests")).rejects.toThrow("WRONGTYPE");
    expect(await redis.get(key)).toBe("x");
  });
});
