import type { Redis } from "ioredis";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { held, MERGE, merge, mergeArguments, type Sent } from "./support/scripts.ts";
import { SOON } from "./support/soon.ts";

const MAX = Number.MAX_SAFE_INTEGER;

describe("merge.lua", () => {
  let redis: Redis;
  let key: string;
  let other: string;
  beforeEach(async () => {
    redis = await patientClient();
    key = freshPrefix();
    other = freshPrefix();
  });

  it("answers for each key its mark, and for each dimension the sum, the asking writer's part before, and what was taken", async () => {
    await redis.hset(key, { requests: 7, "w/requests": 3, "v/requests": 4, "requests:taken": 2, ":hydrated": "m" });
    const answers = await merge(redis, [
      { key, fields: { "w/requests": 5 } },
      { key: other, writer: "v", fields: { "v/bytes": 9 } },
    ]);
    expect(answers).toEqual([
      { mark: "m", sum: [9, 0], own: [3, 0], taken: [2, 0] },
      { mark: "", sum: [0, 9], own: [0, 0], taken: [0, 0] },
    ]);
  });

  it("keeps the larger amount, and moves the sum by what that adds", async () => {
    await merge(redis, [{ key, fields: { "w/requests": 5, "v/requests": 10 } }]);
    await merge(redis, [{ key, fields: { "w/requests": 8, "v/requests": 9 } }]);
    expect(await held(redis, key)).toEqual({ requests: "18", "w/requests": "8", "v/requests": "10" });
  });

  it("merges what was taken by maximum too, and never into the sum", async () => {
    await merge(redis, [{ key, fields: { "w/requests": 5, "requests:taken": 4 } }]);
    const [answer] = await merge(redis, [{ key, fields: { "requests:taken": 3 } }]);
    expect(answer).toEqual({ mark: "", sum: [5, 0], own: [5, 0], taken: [4, 0] });
  });

  it("takes writers with slashes, and dimensions that nobody asks for", async () => {
    await merge(redis, [{ key, fields: { "a/b/c/requests": 5, "a/requests": 1, "a/b/more": 2 } }]);
    const [answer] = await merge(redis, [{ key, writer: "a/b/c" }]);
    expect(answer).toEqual({ mark: "", sum: [6, 0], own: [5, 0], taken: [0, 0] });
    expect(await held(redis, key)).toMatchObject({ more: "2", "a/b/more": "2" });
  });

  it("takes more fields than Lua passes on at once", async () => {
    const writers = Array.from({ length: 8_500 }, (_, i) => `writer-${i}`);
    const fieldsFrom = (least: number) =>
      Object.fromEntries(writers.map((writer, i) => [`${writer}/requests`, least + i]));
    const [first] = await merge(redis, [{ key, writer: "writer-8", fields: fieldsFrom(0) }]);
    expect(first).toMatchObject({ sum: [(8_500 * 8_499) / 2, 0], own: [0, 0] });
    const [second] = await merge(redis, [{ key, writer: "writer-8", fields: fieldsFrom(1) }]);
    expect(second).toMatchObject({ sum: [(8_500 * 8_501) / 2, 0], own: [8, 0] });
    // A zero brings nothing into being, and the sum is a field, too.
    expect(await redis.hlen(key)).toBe(8_501);
  });

  it("marks a hash once: the first mark stays", async () => {
    expect(await merge(redis, [{ key, mark: "first" }])).toMatchObject([{ mark: "first" }]);
    expect(await merge(redis, [{ key, mark: "second" }])).toMatchObject([{ mark: "first" }]);
    expect(await merge(redis, [{ key }])).toMatchObject([{ mark: "first" }]);
    expect(await held(redis, key)).toEqual({ ":hydrated": "first" });
  });

  it("leaves no key behind where nothing was counted", async () => {
    await merge(redis, [{ key, fields: { "w/requests": 0 } }]);
    expect(await redis.exists(key)).toBe(0);
  });

  it("lets a hash expire, and moves that only when a field comes into being", async () => {
    await merge(redis, [{ key, fields: { "w/requests": 1 } }], { ttl: 100_000 });
    expect(await redis.pttl(key)).toSatisfy((ttl: number) => ttl > 50_000 && ttl <= 100_000);
    await merge(redis, [{ key, fields: { "w/requests": 2 } }], { ttl: 900_000 });
    expect(await redis.pttl(key)).toBeLessThanOrEqual(100_000);
    // By another writer, whose clock says when it ends as well.
    await merge(redis, [{ key, fields: { "v/requests": 1 } }], { ttl: 200_000 });
    expect(await redis.pttl(key)).toBeGreaterThan(100_000);
    await merge(redis, [{ key: other, mark: "m" }], { ttl: 100_000 });
    expect(await redis.pttl(other)).toBeGreaterThan(50_000);
  });

  it("is exact up to 2^53-1", async () => {
    await merge(redis, [{ key, fields: { "w/requests": MAX - 1 } }]);
    const [full] = await merge(redis, [{ key, fields: { "v/requests": 1 } }]);
    expect(full).toMatchObject({ sum: [MAX, 0], own: [MAX - 1, 0] });
    expect(await held(redis, key)).toEqual({ requests: `${MAX}`, "v/requests": "1", "w/requests": `${MAX - 1}` });
    const [largest] = await merge(redis, [{ key: other, fields: { "w/bytes": String(MAX) } }]);
    expect(largest).toMatchObject({ sum: [0, MAX] });
    expect(await redis.hget(other, "bytes")).toBe("9007199254740991");
  });

  it("answers nothing to a call of no keys", async () => {
    expect(await redis.eval(MERGE, 0, ...mergeArguments([]))).toEqual([]);
  });

  describe("changes nothing, in any key of the call, and names the key and the field", () => {
    const refused = async (sent: Sent, field: string): Promise<void> => {
      await merge(redis, [{ key: other, fields: { "w/requests": 1 } }]);
      const before = [await held(redis, key), await held(redis, other)];
      const call = merge(redis, [{ key: other, mark: "m", fields: { "w/requests": 2 } }, sent]);
      await expect(call).rejects.toThrow(/^USAGE /);
      await expect(call).rejects.toThrow(key);
      await expect(call).rejects.toThrow(field);
      expect([await held(redis, key), await held(redis, other)]).toEqual(before);
    };

    it.each([
      "-1",
      "1.5",
      "1e3",
      "0x10",
      "nan",
      "inf",
      "",
      " 1",
      "1 ",
      "1\n",
      "+1",
      "9007199254740992",
      "00000000000000001",
      "one",
    ])("when it is sent %j", (amount) => refused({ key, fields: { "w/requests": amount } }, "w/requests"));

    it.each(["-1", "1.5", "nan", "", " 1", "9007199254740992", "one"])("when a field holds %j", async (value) => {
      for (const field of ["requests", "w/requests", "requests:taken"]) {
        await redis.del(key);
        await redis.hset(key, { requests: 1, "w/requests": 1, [field]: value });
        await refused({ key, fields: { "w/requests": 2 } }, field);
      }
    });

    it("when another writer's field, of a dimension that nobody asks for, holds no count", async () => {
      await redis.hset(key, { more: 1, "v/more": "x" });
      await refused({ key, fields: { "v/more": 2 } }, "v/more");
      await redis.hset(key, { more: "x", "v/more": "1" });
      await refused({ key, fields: { "v/more": 2 } }, "more");
    });

    it("when the sum would pass 2^53-1", async () => {
      await redis.hset(key, { requests: MAX - 1, "v/requests": MAX - 1 });
      await refused({ key, fields: { "w/requests": 2 } }, "requests");
      await redis.del(key);
      await refused({ key, fields: { "w/requests": MAX, "v/requests": MAX } }, "requests");
    });

    it("when the sum is less than a part of it", async () => {
      await redis.hset(key, { requests: 4, "w/requests": 5 });
      await refused({ key }, "requests");
      await redis.hset(key, { requests: 4, "w/requests": 1, "v/requests": 5 });
      await refused({ key, fields: { "v/requests": 6 } }, "requests");
    });

    it.each(["requests", ":hydrated", "w", "", "/requests", "w/", "w/1st", "more:taken", "w/requests:taken"])(
      "when it is sent %j for a field",
      (field) => refused({ key, fields: { [field]: 5 } }, field),
    );
  });

  it.each([
    ["a string", () => redis.set(key, "x")],
    ["a list", () => redis.rpush(key, "x")],
  ])("changes nothing when a key holds %s", async (_, put) => {
    await put();
    const before = await held(redis, key);
    const call = merge(redis, [
      { key: other, fields: { "w/requests": 1 } },
      { key, fields: { "w/requests": 1 } },
    ]);
    await expect(call).rejects.toThrow("WRONGTYPE");
    expect([await held(redis, key), await redis.exists(other)]).toEqual([before, 0]);
  });

  it("changes nothing when its arguments end too early", async () => {
    const all = mergeArguments([{ key, mark: "m", fields: { "w/requests": 1, "v/bytes": 2 } }]);
    for (let length = 0; length < all.length; length++) {
      await expect(redis.eval(MERGE, 1, key, ...all.slice(0, length)), `${length} arguments`).rejects.toThrow();
      expect(await redis.exists(key)).toBe(0);
    }
  });

  it("is what the next call of the same commands sees: nothing runs between its reads and its writes", async () => {
    const tallies = Array.from({ length: 200 }, (_, i) =>
      merge(redis, [{ key, fields: { [`w${i % 7}/requests`]: i } }]),
    );
    const sums = (await Promise.all(tallies)).map(([answer]) => answer?.sum[0] ?? Number.NaN);
    expect(sums).toEqual([...sums].sort((a, b) => a - b));
    await vi.waitFor(async () => expect(await redis.hget(key, "requests")).toBe(String(sums.at(-1))), SOON);
  });
});
