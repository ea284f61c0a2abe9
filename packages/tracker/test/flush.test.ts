import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { LocalCounterBackend, type Tally, UnknownBackendError, type UsageStore } from "@usage/counter-core";
import { ManualClock, memoryStore } from "@usage/counter-core/testing";
import { type FlushMessage, UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";

function setUp() {
  const clock = new ManualClock("2026-01-15T00:00:00Z");
  const counter = new LocalCounterBackend(["oci", "b2"], { clock });
  return { clock, counter, tracker: new UsageTracker(counter), store: memoryStore() };
}

/** A store whose merges wait until they are let through. */
function gatedStore(inner: UsageStore) {
  const gates: PromiseWithResolvers<void>[] = [];
  const batches: (readonly Tally[])[] = [];
  const store: UsageStore = {
    ...inner,
    async merge(tallies, options) {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      batches.push(tallies);
      await gate.promise;
      return inner.merge(tallies, options);
    },
  };
  return { store, gates, batches };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("flushUsage", () => {
  it("stores what is counted, once", async () => {
    const { tracker, store, counter } = setUp();
    tracker.record("oci", { apiRequests: 2, egressBytes: 5 });
    tracker.record("b2", { apiRequests: 1 });
    expect(await tracker.flushUsage(store)).toEqual({ stored: 2, rejected: [] });
    expect(await tracker.flushUsage(store)).toEqual({ stored: 0, rejected: [] });
    expect(counter.load("oci", "apiRequests")).toBe(0);
    expect(await store.history({ backend: "oci" })).toEqual([
      { period: "2026-01", backend: "oci", usage: { apiRequests: 2, egressBytes: 5 } },
    ]);
  });

  it("leaves the counts as they were when the store fails, and stores them once with the next flush", async () => {
    const { tracker, store, counter } = setUp();
    tracker.record("oci", { apiRequests: 2 });
    const failing: UsageStore = { ...store, merge: () => Promise.reject(new Error("disk full")) };
    await expect(tracker.flushUsage(failing)).rejects.toThrow("disk full");
    expect(counter.load("oci", "apiRequests")).toBe(2);
    const lostReply: UsageStore = {
      ...store,
      async merge(tallies) {
        await store.merge(tallies);
        throw new Error("connection lost");
      },
    };
    await expect(tracker.flushUsage(lostReply)).rejects.toThrow("connection lost");
    expect(counter.load("oci", "apiRequests")).toBe(2);
    tracker.record("oci", { apiRequests: 1 });
    await tracker.flushUsage(store);
    expect((await store.history({}))[0]?.usage.apiRequests).toBe(3);
    expect(counter.load("oci", "apiRequests")).toBe(0);
  });

  it("keeps counts that arrive during the flush for the next one", async () => {
    const { tracker, store, counter } = setUp();
    const { store: gated, gates } = gatedStore(store);
    tracker.record("oci", { apiRequests: 2 });
    const flushed = tracker.flushUsage(gated);
    await turn();
    tracker.record("oci", { apiRequests: 5 });
    gates[0]?.resolve();
    await flushed;
    expect(counter.load("oci", "apiRequests")).toBe(5);
    await tracker.flushUsage(store);
    expect((await store.history({}))[0]?.usage.apiRequests).toBe(7);
  });

  it("stores counts from before midnight in their own month, though it runs after it", async () => {
    const { tracker, store, clock } = setUp();
    clock.set("2026-01-31T23:59:58Z");
    clock.advance(1_900);
    tracker.record("oci", { apiRequests: 1 });
    clock.advance(200);
    tracker.record("oci", { apiRequests: 10 });
    await tracker.flushUsage(store);
    expect(await store.history({})).toEqual([
      { period: "2026-01", backend: "oci", usage: { apiRequests: 1 } },
      { period: "2026-02", backend: "oci", usage: { apiRequests: 10 } },
    ]);
  });

  it("reports rejected tallies, keeps them, and settles the others", async () => {
    const { tracker, store, counter } = setUp();
    tracker.record("oci", { apiRequests: 2 });
    tracker.record("b2", { apiRequests: 3 });
    const reason = new Error("not this one");
    const picky: UsageStore = {
      ...store,
      async merge(tallies) {
        await store.merge(tallies.filter(({ backend }) => backend !== "oci"));
        // Copies, as a store behind a network would answer them.
        return structuredClone(tallies.filter(({ backend }) => backend === "oci")).map((tally) => ({ tally, reason }));
      },
    };
    expect(await tracker.flushUsage(picky)).toMatchObject({
      stored: 1,
      rejected: [{ tally: { backend: "oci" }, reason }],
    });
    expect(counter.load("oci", "apiRequests")).toBe(2);
    expect(counter.load("b2", "apiRequests")).toBe(0);
  });

  it("does what is to be done first for those who asked for it, in their turn", async () => {
    const { tracker, store } = setUp();
    const { store: gated, gates, batches } = gatedStore(store);
    let done = 0;
    const first = async (): Promise<void> => {
      done += 1;
    };
    tracker.record("oci", { apiRequests: 1 });
    const running = tracker.flushUsage(gated);
    await turn();
    const without = tracker.flushUsage(gated);
    const withFirst = tracker.flushUsage(gated, { first });
    expect(done).toBe(0);
    gates[0]?.resolve();
    await Promise.all([running, without, withFirst]);
    expect(done).toBe(1);
    expect(batches).toHaveLength(1);
  });

  it("ends when it is aborted, also while what is to be done first never ends, and stores nothing", async () => {
    const { tracker, store } = setUp();
    tracker.record("oci", { apiRequests: 1 });
    const controller = new AbortController();
    const first = () => new Promise<never>(() => {});
    const flushed = tracker.flushUsage(store, { first, signal: controller.signal });
    await turn();
    controller.abort(new Error("enough"));
    await expect(flushed).rejects.toThrow("enough");
    expect(await store.history({})).toEqual([]);
  });

  it("runs once more for calls that came during a flush, shared by those with the same arguments", async () => {
    const { tracker, store } = setUp();
    const { store: gated, gates, batches } = gatedStore(store);
    tracker.record("oci", { apiRequests: 1 });
    const first = tracker.flushUsage(gated);
    await turn();
    tracker.record("oci", { apiRequests: 1 });
    const second = tracker.flushUsage(gated);
    const third = tracker.flushUsage(gated);
    const other = tracker.flushUsage(gated, { skip: new Set(["b2"]) });
    await turn();
    expect(batches).toHaveLength(1);
    gates[0]?.resolve();
    await first;
    await turn();
    expect(batches).toHaveLength(2);
    expect(batches[1]).toMatchObject([{ usage: { apiRequests: 2 } }]);
    tracker.record("oci", { apiRequests: 1 });
    // Too late to be in the second flush: it has read the counts.
    const fourth = tracker.flushUsage(gated);
    gates[1]?.resolve();
    await Promise.all([second, third]);
    await turn();
    gates[2]?.resolve();
    await other;
    await fourth;
    expect(batches).toHaveLength(3);
    expect((await store.history({}))[0]?.usage.apiRequests).toBe(3);
  });

  it("runs the waiting flush also when the one before it fails", async () => {
    const { tracker, store } = setUp();
    tracker.record("oci", { apiRequests: 1 });
    const failing = tracker.flushUsage({ ...store, merge: () => Promise.reject(new Error("down")) });
    const next = tracker.flushUsage(store);
    await expect(failing).rejects.toThrow("down");
    expect(await next).toEqual({ stored: 1, rejected: [] });
  });

  it("rejects at once when it is aborted, though the store may still finish, which does no harm", async () => {
    const { tracker, store } = setUp();
    const { store: gated, gates } = gatedStore(store);
    tracker.record("oci", { apiRequests: 1 });
    const controller = new AbortController();
    const aborted = tracker.flushUsage(gated, { signal: controller.signal });
    await turn();
    controller.abort(new Error("too slow"));
    await expect(aborted).rejects.toThrow("too slow");
    gates[0]?.resolve();
    await turn();
    await turn();
    await tracker.flushUsage(store);
    expect((await store.history({}))[0]?.usage.apiRequests).toBe(1);
    await expect(tracker.flushUsage(store, { signal: AbortSignal.abort(new Error("never begun")) })).rejects.toThrow(
      "never begun",
    );
  });

  it("rejects at once when it is aborted while the counter takes its time", async () => {
    const { tracker, counter, store } = setUp();
    Object.assign(counter, { tallies: () => new Promise(() => {}) });
    await expect(tracker.flushUsage(store, { signal: AbortSignal.timeout(5) })).rejects.toThrow(/timeout/);
  });

  it("lets go of a flush that is aborted while it waits, and of nothing else", async () => {
    const { tracker, store } = setUp();
    const { store: gated, gates } = gatedStore(store);
    tracker.record("oci", { apiRequests: 1 });
    const first = tracker.flushUsage(gated);
    await turn();
    const controller = new AbortController();
    const waiting = tracker.flushUsage(gated, { signal: controller.signal });
    const another = tracker.flushUsage(gated);
    controller.abort(new Error("no longer"));
    await expect(waiting).rejects.toThrow("no longer");
    for (let i = 0; i < 5; i++) {
      await turn();
      for (const gate of gates) gate.resolve();
    }
    await Promise.all([first, another]);
    expect((await store.history({}))[0]?.usage.apiRequests).toBe(1);
  });

  it("skips what it was told to when it was called, whatever becomes of the set", async () => {
    const { tracker, store, counter } = setUp();
    const { store: gated, gates } = gatedStore(store);
    tracker.record("oci", { apiRequests: 1 });
    tracker.record("b2", { apiRequests: 1 });
    const first = tracker.flushUsage(gated);
    await turn();
    const skip = new Set(["oci"]);
    const second = tracker.flushUsage(gated, { skip });
    skip.clear();
    skip.add("b2");
    gates[0]?.resolve();
    await first;
    await second;
    expect(counter.totalAll("oci").apiRequests).toBe(0);
    expect(counter.totalAll("b2").apiRequests).toBe(1);
  });

  it("may be called again by who hears of it on the channel", async () => {
    const { tracker, store } = setUp();
    let calls = 0;
    let depth = 0;
    const failing = (): Promise<unknown> => tracker.flushUsage(store, { skip: new Set(["gone"]) }).catch(() => {});
    const listener = (): void => {
      calls += 1;
      depth += 1;
      expect(depth).toBe(1);
      if (calls < 3) void failing();
      depth -= 1;
    };
    subscribe("usage:flush", listener);
    try {
      await failing();
      for (let i = 0; i < 5; i++) await turn();
      expect(calls).toBe(3);
    } finally {
      unsubscribe("usage:flush", listener);
    }
  });

  it("discards what it is told to skip, and nothing at all when one of the names is unknown", async () => {
    const { tracker, store, counter } = setUp();
    tracker.record("oci", { apiRequests: 1 });
    tracker.record("b2", { apiRequests: 1 });
    await expect(tracker.flushUsage(store, { skip: new Set(["oci", "gone"]) })).rejects.toThrow(UnknownBackendError);
    expect(counter.load("oci", "apiRequests")).toBe(1);
    expect(await tracker.flushUsage(store, { skip: new Set(["oci"]) })).toMatchObject({ stored: 1 });
    expect((await store.history({})).map(({ backend }) => backend)).toEqual(["b2"]);
    expect(counter.totalAll("oci").apiRequests).toBe(0);
  });

  it("tells the channel usage:flush how it ended", async () => {
    const { tracker, store } = setUp();
    const messages: FlushMessage[] = [];
    const listener = (message: unknown): void => void messages.push(message as FlushMessage);
    subscribe("usage:flush", listener);
    try {
      tracker.record("oci", { apiRequests: 1 });
      const down = new Error("down");
      await expect(tracker.flushUsage({ ...store, merge: () => Promise.reject(down) })).rejects.toThrow(down);
      await tracker.flushUsage(store);
      expect(messages).toEqual([
        { stored: 0, rejected: [], error: down },
        { stored: 1, rejected: [] },
      ]);
    } finally {
      unsubscribe("usage:flush", listener);
    }
  });
});

describe("refreshBaselines", () => {
  it("learns what others stored, and counts its own part once", async () => {
    const { tracker, store, clock } = setUp();
    const other = new UsageTracker(new LocalCounterBackend(["oci"], { clock }));
    other.record("oci", { apiRequests: 100 });
    await other.flushUsage(store);
    tracker.record("oci", { apiRequests: 1 });
    await tracker.flushUsage(store);
    await tracker.refreshBaselines(store);
    expect(tracker.backend.totalAll("oci").apiRequests).toBe(101);
  });

  it("ignores what was read before midnight and arrives after it", async () => {
    const { tracker, store, clock } = setUp();
    clock.set("2026-01-31T23:59:59.900Z");
    await store.merge([{ writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 100 } }]);
    const late: UsageStore = {
      ...store,
      async totals(period, writer) {
        const stored = await store.totals(period, writer);
        clock.advance(1_000);
        return stored;
      },
    };
    await tracker.refreshBaselines(late);
    expect(tracker.backend.totalAll("oci").apiRequests).toBe(0);
  });

  it("counts a backend that was discarded before by the rows of all writers", async () => {
    const { tracker, store, counter } = setUp();
    tracker.record("oci", { apiRequests: 10 });
    await tracker.flushUsage(store);
    counter.discard("oci");
    tracker.record("oci", { apiRequests: 3 });
    await tracker.flushUsage(store);
    await tracker.refreshBaselines(store);
    expect(counter.totalAll("oci").apiRequests).toBe(13);
  });

  it("rejects at once when it is aborted while the counter takes its time", async () => {
    const { tracker, counter, store } = setUp();
    await store.merge([{ writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 1 } }]);
    Object.assign(counter, { observe: () => ["oci"], absorb: () => new Promise(() => {}) });
    await expect(tracker.refreshBaselines(store, { signal: AbortSignal.timeout(5) })).rejects.toThrow(/timeout/);
  });

  it("rejects at once when it is aborted", async () => {
    const { tracker, store } = setUp();
    const hanging: UsageStore = { ...store, totals: () => new Promise(() => {}) };
    const refreshed = tracker.refreshBaselines(hanging, { signal: AbortSignal.timeout(5) });
    await expect(refreshed).rejects.toThrow(/timeout/);
  });

  it("rejects when the store fails, and keeps what is known", async () => {
    const { tracker, store } = setUp();
    tracker.setBaseline("oci", { apiRequests: 5, egressBytes: 0, ingressBytes: 0 });
    await expect(
      tracker.refreshBaselines({ ...store, totals: () => Promise.reject(new Error("down")) }),
    ).rejects.toThrow("down");
    expect(tracker.backend.totalAll("oci").apiRequests).toBe(5);
  });
});
