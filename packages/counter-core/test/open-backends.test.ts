import {
  AmountError,
  type Limits,
  LocalCounterBackend,
  type LocalCounterOptions,
  memoryStore,
  type StorageDimension,
  type Tally,
  ThreadedCounterBackend,
  TooManyBackendsError,
  UnknownBackendError,
} from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { describe, expect, it } from "vitest";

/** A counter without names and a store, with what lies between them. */
function open(options: Partial<LocalCounterOptions> & { readonly names?: readonly string[] } = {}) {
  const clock = new ManualClock("2026-01-10T00:00:00Z");
  const counter = new LocalCounterBackend<StorageDimension>(options.names ?? [], { clock, ...options });
  const store = memoryStore();
  const ensure = (...names: readonly string[]) => counter.ensure(names, store.tallies);
  /** Stores what is counted, and lets the counter know. */
  const flush = async (): Promise<void> => {
    const tallies = await counter.tallies();
    await store.merge(tallies);
    counter.confirm(tallies);
  };
  const learn = async (): Promise<void> => {
    const { key } = counter.period();
    const wanted = counter.learn(key, (await store.totals(key, counter.writer)).usage);
    await counter.absorb(await store.tallies(key, wanted));
  };
  const jump = (date: string): void => {
    clock.set(date);
    clock.advance(1_000);
  };
  /** What is stored of all that was ever counted. */
  const stored = async (): Promise<number> =>
    (await store.history({})).reduce((sum, { usage }) => sum + (usage.apiRequests ?? 0), 0);
  return { clock, counter, store, ensure, flush, learn, jump, stored };
}

const row = (writer: string, apiRequests: number, period = "2026-01"): Tally => ({
  writer,
  period,
  backend: "acme",
  usage: { apiRequests },
});

describe("a backend that is let go of and comes back", () => {
  it("loses nothing where an earlier reading ends after it was held, counted in and let go of", async () => {
    const { counter, store, ensure, flush, stored } = open();
    const gate = Promise.withResolvers<void>();
    let reads = 0;
    const slow = counter.ensure(["acme"], async (period, names) => {
      const rows = await store.tallies(period, names);
      reads += 1;
      if (reads === 1) await gate.promise;
      return rows;
    });
    await ensure("acme");
    counter.add("acme", "apiRequests", 5);
    await flush();
    expect(counter.release("acme")).toBe(true);
    gate.resolve();
    await slow;
    expect(reads).toBe(2);
    expect(counter.totalAll("acme").apiRequests).toBe(5);
    counter.add("acme", "apiRequests", 3);
    await flush();
    expect(await stored()).toBe(8);
  });

  it("sends what somebody's late rows brought back of it, though nothing more is counted", async () => {
    const { counter, store, flush, learn, stored } = open();
    await counter.ensure(["acme"], async () => [row(counter.writer, 10)]);
    counter.add("acme", "apiRequests", 2);
    await flush();
    await flush();
    await store.merge([row(counter.writer, 14)]);
    await learn();
    expect(counter.totalAll("acme").apiRequests).toBe(16);
    await flush();
    expect(await stored()).toBe(16);
  });

  it("counts under another writer's name after it was discarded, since what it sent before may still arrive", async () => {
    const { counter, store, ensure, flush, learn, stored } = open();
    await ensure("acme");
    counter.add("acme", "apiRequests", 5);
    const late = await counter.tallies();
    counter.discard("acme");
    expect(counter.release("acme")).toBe(true);
    await ensure("acme");
    counter.add("acme", "apiRequests", 3);
    await store.merge(late);
    counter.confirm(late);
    await flush();
    expect(await stored()).toBe(8);
    await learn();
    expect(counter.totalAll("acme").apiRequests).toBe(8);
  });

  it("includes what the store knows of it also after it was discarded", async () => {
    const { counter, ensure, flush, stored } = open();
    await ensure("acme");
    counter.add("acme", "apiRequests", 5);
    await flush();
    counter.discard("acme");
    counter.add("acme", "apiRequests", 2);
    await flush();
    expect(counter.release("acme")).toBe(true);
    await ensure("acme");
    expect(counter.totalAll("acme").apiRequests).toBe(7);
    counter.add("acme", "apiRequests", 1);
    await flush();
    expect([await stored(), counter.totalAll("acme").apiRequests]).toEqual([8, 8]);
  });

  it("doubles nothing in a period that was let go of before, and to which the clock was set back", async () => {
    const { counter, ensure, flush, jump, stored, learn } = open({ names: ["acme"] });
    counter.add("acme", "apiRequests", 5);
    await flush();
    jump("2026-04-15T00:00:00Z");
    jump("2026-04-15T00:00:10Z");
    jump("2026-01-20T00:00:00Z");
    expect(counter.release("acme")).toBe(true);
    await ensure("acme");
    expect(counter.totalAll("acme").apiRequests).toBe(5);
    counter.add("acme", "apiRequests", 1);
    await flush();
    await learn();
    expect([await stored(), counter.totalAll("acme").apiRequests]).toEqual([6, 6]);
  });

  it("charges a hold that expired to nobody else once its backend was let go of, and to it where it is held again", async () => {
    const clock = new ManualClock("2026-01-15T12:00:00Z");
    const counter = new LocalCounterBackend([], { clock });
    await counter.ensure(["acme"], async () => []);
    const hold = counter.hold("acme", { apiRequests: 5 }, { ttlMs: 1_000 });
    await clock.advance(5_000);
    expect(hold?.state).toBe("expired");
    expect(counter.release("acme")).toBe(true);
    await counter.ensure(["other"], async () => []);
    expect(() => hold?.settle({ apiRequests: 5 })).toThrow(UnknownBackendError);
    expect(counter.totalAll("other").apiRequests).toBe(0);
    await counter.ensure(["acme"], async () => []);
    hold?.settle({ apiRequests: 5 });
    expect([counter.totalAll("acme").apiRequests, counter.totalAll("other").apiRequests]).toEqual([5, 0]);
  });

  it("keeps nothing of a baseline that it had", async () => {
    const { counter, ensure } = open();
    await ensure("acme");
    counter.setBaseline("acme", { apiRequests: 7, egressBytes: 0, ingressBytes: 0 });
    expect(counter.release("acme")).toBe(true);
    await ensure("acme");
    expect(counter.totalAll("acme").apiRequests).toBe(0);
  });
});

describe("ensure", () => {
  it("notices that the month has changed, though no timer has", async () => {
    const { counter, clock } = open();
    const asked: string[] = [];
    await counter.ensure(["acme"], async (period) => {
      asked.push(period);
      clock.set("2026-02-01T00:00:00Z");
      return [row("a", 9, period)];
    });
    expect(asked).toEqual(["2026-01", "2026-02"]);
    expect([counter.period().key, counter.totalAll("acme").apiRequests]).toEqual(["2026-02", 9]);
  });

  it("holds no more than it may, however many ask at once", async () => {
    const { counter, ensure } = open({ maxBackends: 3 });
    const asked = await Promise.allSettled([ensure("a", "b"), ensure("c", "d"), ensure("a", "c")]);
    expect(asked.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(asked[1]).toMatchObject({ reason: new TooManyBackendsError("d", 3, 1) }); // of both, one could be
    expect(counter.backends()).toEqual(["a", "b", "c"]);
    await ensure("a", "b", "c");
  });

  it("holds nothing where limits are wrong, not even those that were asked for before", async () => {
    const { counter, store } = open();
    const limitsOf = (backend: string): Limits => ({ apiRequests: backend === "b" ? Number.NaN : 1 });
    await expect(counter.ensure(["a", "b", "c"], store.tallies, { limitsOf })).rejects.toThrow(AmountError);
    await expect(counter.ensure(["a", "b", "c"], store.tallies, { limitsOf })).rejects.toThrow(/"b": NaN/);
    const failing = (): Limits => {
      throw new Error("no plan");
    };
    await expect(counter.ensure(["a"], store.tallies, { limitsOf: failing })).rejects.toThrow("no plan");
    expect(counter.backends()).toEqual([]);
  });
});

describe("what is idle", () => {
  it("is let go of also where it has the row of a name that was given at the start", async () => {
    const { counter, clock, ensure } = open({ names: ["given", "kept"], idleMs: 60_000 });
    expect(counter.release("given")).toBe(true);
    await ensure("acme");
    clock.advance(120_000);
    expect(counter.backends()).toEqual(["kept"]);
    // It came back like any other.
    await ensure("given", "kept");
    clock.advance(120_000);
    expect(counter.backends()).toEqual(["kept"]);
  });

  it("comes back with everything, as often as it goes", async () => {
    const { counter, clock, ensure, flush, stored } = open({ idleMs: 60_000 });
    for (let round = 1; round <= 5; round++) {
      await ensure("acme", `other-${round}`);
      expect(counter.totalAll("acme").apiRequests).toBe(round - 1);
      counter.add("acme", "apiRequests", 1);
      clock.advance(120_000);
      expect(counter.has("acme")).toBe(true); // not stored yet
      await flush();
      clock.advance(120_000);
      expect(counter.backends()).toEqual([]);
    }
    expect(await stored()).toBe(5);
  });

  it("stays while its last counts are of the month before and not stored", async () => {
    const { counter, clock, jump, ensure, flush } = open({ idleMs: 60_000 });
    await ensure("acme");
    counter.add("acme", "apiRequests", 1);
    jump("2026-02-01T00:00:00Z");
    clock.advance(120_000);
    expect(counter.release("acme")).toBe(false);
    expect(counter.backends()).toEqual(["acme"]);
    await flush();
    clock.advance(120_000);
    expect(counter.backends()).toEqual([]);
  });
});

describe("whoever keeps their own books", () => {
  it("is given nothing twice by what the store is learned to hold", async () => {
    const { counter } = open({ names: ["acme"] });
    const all = (apiRequests: number) => {
      const zero = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
      return new Map([["acme", { all: { ...zero, apiRequests }, own: zero }]]);
    };
    counter.add("acme", "apiRequests", 5);
    expect(counter.swap("acme", "apiRequests")).toBe(5);
    counter.learn("2026-01", all(100)); // what was swapped out is not stored yet
    expect(counter.swap("acme", "apiRequests")).toBe(0);
    counter.learn("2026-01", all(105));
    expect(counter.swap("acme", "apiRequests")).toBe(0);
    counter.add("acme", "apiRequests", 1);
    expect(counter.totalAll("acme").apiRequests).toBe(106);
    expect(counter.swap("acme", "apiRequests")).toBe(1);
  });
});

describe("the names of a counter for threads", () => {
  it("are never let go of, since other threads count under them", async () => {
    const counter = new ThreadedCounterBackend<StorageDimension>(["oci", "b2"]);
    expect(counter.release("oci")).toBe(false);
    expect(counter.release("gone")).toBe(true);
    expect(counter.backends()).toEqual(["oci", "b2"]);
  });
});
