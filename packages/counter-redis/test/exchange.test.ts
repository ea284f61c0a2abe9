import { memoryStore, systemClock } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { bucketOf, RedisCounterBackend, RedisSharedCounts } from "@usage/counter-redis";
import { describe, expect, it } from "vitest";
import { ODD_NAMES } from "../../counter-core/src/testing/odd-names.ts";
import { client, counter, freshPrefix, manyCounters, patientClient } from "./support/counters.ts";
import { flush, storedRequests } from "./support/flush.ts";
import { countsKey, keysOf, sharedSum } from "./support/shared.ts";
import { SOON } from "./support/soon.ts";
import { TappedClient } from "./support/tapped-client.ts";
import { Truth, traffic } from "./support/truth.ts";

describe("counters that share a Redis", () => {
  it.each([2, 8])("all %i come to see what all recorded, and never more on the way", async (count) => {
    const prefix = freshPrefix();
    const counters = await manyCounters(count, { prefix });
    const truth = new Truth();
    truth.watch(...counters);
    const stop = traffic(truth, counters);
    await new Promise((resolve) => setTimeout(resolve, 500));
    stop();
    await truth.seenByAll();
    const redis = await patientClient();
    for (const backend of ["oci", "b2"]) {
      const key = countsKey(prefix, counters[0]?.period().key ?? "", backend);
      expect(await sharedSum(redis, key)).toBe(truth.of(backend).apiRequests);
      expect(await sharedSum(redis, key, "egressBytes")).toBe(truth.of(backend).egressBytes);
    }
  });

  it("refuse a backend on all of them when one has reached its limit", async () => {
    const [first, ...others] = await manyCounters(3, { prefix: freshPrefix() });
    const limit = 100;
    const isWithin = (one: RedisCounterBackend, proposed: number): boolean => {
      const total = new Float64Array(one.dimensions.length);
      one.readTotal("oci", total);
      return (total[one.dimensions.indexOf("egressBytes")] ?? Number.NaN) + proposed <= limit;
    };
    first?.add("oci", "egressBytes", limit - 1);
    await expect
      .poll(() => others.map((one) => [isWithin(one, 1), isWithin(one, 2)]), SOON)
      .toEqual([
        [true, false],
        [true, false],
      ]);
    first?.add("oci", "egressBytes", 1);
    await expect.poll(() => others.map((one) => isWithin(one, 1)), SOON).toEqual([false, false]);
    expect(others.map((one) => one.totalAll("b2").egressBytes)).toEqual([0, 0]);
  });

  it("know from the first moment what others shared before", async () => {
    const prefix = freshPrefix();
    const first = await counter({ prefix });
    first.add("oci", "apiRequests", 7);
    await expect.poll(() => first.unpushedAll("oci").apiRequests, SOON).toBe(0);
    const second = await counter({ prefix });
    expect(second.totalAll("oci").apiRequests).toBe(7);
    expect(second.load("oci", "apiRequests")).toBe(7);
  });

  it("share a backend that comes later, to one first and then to the other", async () => {
    const prefix = freshPrefix();
    const [first, second] = (await manyCounters(2, { prefix })) as [RedisCounterBackend, RedisCounterBackend];
    const nothing = async () => [];
    await first.ensure(["later"], nothing);
    first.add("later", "apiRequests", 3);
    await expect.poll(() => first.unpushedAll("later").apiRequests, SOON).toBe(0);
    expect(() => second.totalAll("later")).toThrow("unknown backend");
    await second.ensure(["oci", "later"], nothing);
    expect(second.totalAll("later").apiRequests).toBe(3);
    second.add("later", "apiRequests", 4);
    await expect.poll(() => [first, second].map((one) => one.totalAll("later").apiRequests), SOON).toEqual([7, 7]);
  });

  it("take up what they had let go of, from Redis where the store does not have it yet", async () => {
    const prefix = freshPrefix();
    const store = memoryStore();
    const [one, other] = (await manyCounters(2, { prefix })) as [RedisCounterBackend, RedisCounterBackend];
    const read = (period: string, names: readonly string[]) => store.tallies(period, names);
    await one.ensure(["acme"], read);
    one.add("acme", "apiRequests", 5);
    await expect.poll(() => one.unpushedAll("acme").apiRequests, SOON).toBe(0);
    expect(one.release("acme")).toBe(false);
    await flush(one, store);
    await expect.poll(() => one.release("acme"), SOON).toBe(true);
    await other.ensure(["acme"], read);
    other.add("acme", "apiRequests", 7);
    await expect.poll(() => other.unpushedAll("acme").apiRequests, SOON).toBe(0);
    await one.ensure(["acme"], read);
    expect(one.totalAll("acme").apiRequests).toBe(12);
    one.add("acme", "apiRequests", 1);
    await expect.poll(() => other.totalAll("acme").apiRequests, SOON).toBe(13);
    for (const each of [one, other]) await flush(each, store);
    expect(await storedRequests(one, store, "acme")).toBe(13);
  });

  it("count on under a new name what was discarded and comes back, also where its counts are shared again", async () => {
    const prefix = freshPrefix();
    const store = memoryStore();
    const [one, other] = (await manyCounters(2, { prefix })) as [RedisCounterBackend, RedisCounterBackend];
    const read = (period: string, names: readonly string[]) => store.tallies(period, names);
    await one.ensure(["acme"], read);
    one.add("acme", "apiRequests", 5);
    await flush(one, store);
    one.discard("acme");
    await expect.poll(() => one.release("acme"), SOON).toBe(true);
    // The store still has it, and a push that comes late makes more of it shared again.
    const period = one.period();
    const redis = await patientClient();
    const dimensions = [...one.dimensions];
    const counts = new RedisSharedCounts({ client: redis, prefix, dimensions, clock: systemClock });
    const late = { backend: "acme", writer: one.writer, own: [7, 0, 0] };
    await counts.merge({ period, number: bucketOf("acme") }, one.writer, [late]);
    await one.ensure(["acme"], read);
    expect(one.totalAll("acme").apiRequests).toBe(7);
    one.add("acme", "apiRequests", 3);
    expect(one.unpushedAll("acme").apiRequests).toBe(3);
    await other.ensure(["acme"], read);
    await expect.poll(() => [one, other].map((each) => each.totalAll("acme").apiRequests), SOON).toEqual([10, 10]);
    expect(await sharedSum(redis, countsKey(prefix, period.key, "acme"))).toBe(10);
  });

  it("know a backend from one of the two that know of it, while the other is away", async () => {
    const prefix = freshPrefix();
    const tapped = new TappedClient(await patientClient());
    const one = await counter({ prefix });
    const cut = await counter({ prefix, client: tapped, syncIntervalMs: 60_000 });
    const row = { writer: "dead", period: one.period().key, backend: "acme", usage: { apiRequests: 20 } };
    await one.ensure(["acme"], async () => [row]);
    one.add("acme", "apiRequests", 3);
    await expect.poll(() => one.unpushedAll("acme").apiRequests, SOON).toBe(0);
    await cut.ensure(["acme"], () => Promise.reject(new Error("the database is away")));
    // What the first one read of the store it has shared.
    expect(cut.totalAll("acme").apiRequests).toBe(23);
    tapped.fault = "rejects";
    await cut.ensure(["b1"], async () => [{ ...row, backend: "b1" }]);
    expect(cut.totalAll("b1").apiRequests).toBe(20);
    const neither = cut.ensure(["b3"], () => Promise.reject(new Error("the database is away")));
    await expect(neither).rejects.toThrow(/"b3".*the database is away/);
    expect(cut.has("b3")).toBe(false);
  });

  it("share 250 backends, more than go into one call, each with its own count", async () => {
    const backends = Array.from({ length: 250 }, (_, i) => `backend-${i}`);
    const [first, second] = await manyCounters(2, { prefix: freshPrefix(), backends });
    backends.forEach((backend, i) => void first?.add(backend, "egressBytes", i + 1));
    await expect
      .poll(() => backends.map((backend) => second?.totalAll(backend).egressBytes), SOON)
      .toEqual(backends.map((_, i) => i + 1));
  });

  it("tell apart names that break what is quoted, split or looked up", async () => {
    const [first, second] = await manyCounters(2, { prefix: freshPrefix(), backends: ODD_NAMES });
    ODD_NAMES.forEach((name, i) => void first?.add(name, "apiRequests", i + 1));
    await expect
      .poll(() => ODD_NAMES.map((name) => second?.totalAll(name).apiRequests), SOON)
      .toEqual(ODD_NAMES.map((_, i) => i + 1));
  });

  it("share the dimensions that they are told, and leave those of others as they are", async () => {
    const prefix = freshPrefix();
    const redis = await patientClient();
    const options = { client: redis, prefix, backends: ["llm"] };
    const tokens = await RedisCounterBackend.connect({
      ...options,
      dimensions: ["requests", "inputTokens", "outputTokens"],
    });
    const requests = await RedisCounterBackend.connect({ ...options, dimensions: ["outputTokens", "requests"] });
    tokens.addAll("llm", { requests: 1, inputTokens: 20, outputTokens: 300 });
    requests.addAll("llm", { requests: 4, outputTokens: 5 });
    await expect.poll(() => tokens.totalAll("llm"), SOON).toEqual({ requests: 5, inputTokens: 20, outputTokens: 305 });
    await expect.poll(() => requests.totalAll("llm"), SOON).toEqual({ requests: 5, outputTokens: 305 });
    await Promise.all([tokens.close(), requests.close()]);
  });

  it("exchange what is due at once when they are told to, and reject when that fails", async () => {
    const tapped = new TappedClient(await patientClient());
    const one = await counter({ prefix: freshPrefix(), client: tapped, syncIntervalMs: 60_000 });
    one.add("oci", "apiRequests", 5);
    await one.sync();
    expect(one.unpushedAll("oci").apiRequests).toBe(0);
    tapped.fault = "rejects";
    one.add("oci", "apiRequests", 1);
    await expect(one.sync()).rejects.toThrow("Connection is closed.");
    expect(one.unpushedAll("oci").apiRequests).toBe(1);
    tapped.fault = "none";
    await one.sync();
    expect(one.unpushedAll("oci").apiRequests).toBe(0);
  });

  it("are listed in Redis with every backend that has counts, however many exchanges overlap", async () => {
    const prefix = freshPrefix();
    const one = await counter({ prefix, syncIntervalMs: 60_000 });
    await one.ensure(["later"], async () => []);
    one.add("later", "apiRequests", 1);
    await Promise.all([one.sync(), one.sync()]);
    const { changes } = keysOf(prefix, one.period().key, "later");
    expect((await (await patientClient()).zrange(changes, "0", "-1")).filter((name) => name !== "")).toEqual(["later"]);
  });

  it("say when all counts were last exchanged, from the first exchange on", async () => {
    const clock = new ManualClock("2026-01-15T12:00:00Z");
    const one = await counter({ prefix: freshPrefix(), clock, syncIntervalMs: 60_000 });
    expect(one.sharedAtMs()).toBe(clock.now());
    clock.advance(5_000);
    await one.sync();
    expect(one.sharedAtMs()).toBe(clock.now());
  });

  it("go on once, however often they are started", async () => {
    const clock = new ManualClock("2026-01-15T12:00:00Z");
    const one = await counter({ prefix: freshPrefix(), clock });
    const { pending } = clock;
    await one.start();
    expect(clock.pending).toBe(pending);
  });

  it("keep under two prefixes what has nothing to do with each other", async () => {
    const [first, second] = [await counter({ prefix: freshPrefix() }), await counter({ prefix: freshPrefix() })];
    first.add("oci", "apiRequests", 3);
    await expect.poll(() => first.unpushedAll("oci").apiRequests, SOON).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 350));
    expect(second.totalAll("oci").apiRequests).toBe(0);
  });

  it("store what an instance shared of backends that nobody else knows, when it did not live to do so", async () => {
    const prefix = freshPrefix();
    const store = memoryStore();
    const victimsClient = await client();
    const victim = await counter({ prefix, backends: ["only here", "oci"], client: victimsClient });
    const survivor = await counter({ prefix, backends: ["oci"] });
    victim.add("only here", "apiRequests", 5);
    victim.add("oci", "apiRequests", 6);
    await expect
      .poll(() => ["only here", "oci"].map((name) => victim.unpushedAll(name).apiRequests), SOON)
      .toEqual([0, 0]);
    await expect.poll(() => survivor.totalAll("oci").apiRequests, SOON).toBe(6);
    victimsClient.disconnect();
    for (let i = 0; i < 2; i++) await flush(survivor, store);
    expect(await storedRequests(survivor, store, "only here")).toBe(5);
    expect(await storedRequests(survivor, store, "oci")).toBe(6);
    // Nobody counts it twice: not those who flush again, and not the victim if it lives after all.
    for (let i = 0; i < 2; i++) await flush(survivor, store);
    await store.merge(await victim.tallies());
    expect(await storedRequests(survivor, store, "only here")).toBe(5);
    expect(await storedRequests(survivor, store, "oci")).toBe(6);
  });
});
