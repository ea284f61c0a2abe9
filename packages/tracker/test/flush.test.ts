import type { UsageStore } from "@usage/counter-core";
import { memoryStore } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { gatedStore } from "./support/gated-store.ts";
import { tracked } from "./support/tracked.ts";
import { turn } from "./support/turn.ts";

describe("flush", () => {
  it("stores what is counted, once", async () => {
    const { tracker, store, counter } = tracked();
    tracker.record("oci", { apiRequests: 2, egressBytes: 5 });
    tracker.record("b2", { apiRequests: 1 });
    expect(await tracker.flush()).toEqual({ stored: 2, rejected: [] });
    expect(await tracker.flush()).toEqual({ stored: 0, rejected: [] });
    expect(counter.load("oci", "apiRequests")).toBe(0);
    expect(await store.history({ backend: "oci" })).toEqual([
      { period: "2026-01", backend: "oci", usage: { apiRequests: 2, egressBytes: 5 } },
    ]);
  });

  it("leaves the counts as they were when the store fails, and stores them once with the next flush", async () => {
    const memory = memoryStore();
    const state = { isFull: true, loses: false };
    const store: UsageStore = {
      ...memory,
      async merge(tallies) {
        if (state.isFull) throw new Error("disk full");
        const rejected = await memory.merge(tallies);
        if (state.loses) throw new Error("connection lost");
        return rejected;
      },
    };
    const { tracker, counter, stored } = tracked({ store });
    tracker.record("oci", { apiRequests: 2 });
    await expect(tracker.flush()).rejects.toThrow("disk full");
    expect(counter.load("oci", "apiRequests")).toBe(2);
    Object.assign(state, { isFull: false, loses: true });
    await expect(tracker.flush()).rejects.toThrow("connection lost");
    expect(counter.load("oci", "apiRequests")).toBe(2);
    state.loses = false;
    tracker.record("oci", { apiRequests: 1 });
    await tracker.flush();
    expect(await stored()).toBe(3);
    expect(counter.load("oci", "apiRequests")).toBe(0);
  });

  it("keeps counts that arrive during the flush for the next one", async () => {
    const { store, gates } = gatedStore(memoryStore());
    const { tracker, counter, stored } = tracked({ store });
    tracker.record("oci", { apiRequests: 2 });
    const flushed = tracker.flush();
    await turn();
    tracker.record("oci", { apiRequests: 5 });
    gates[0]?.resolve();
    await flushed;
    expect(counter.load("oci", "apiRequests")).toBe(5);
    const again = tracker.flush();
    await turn();
    gates[1]?.resolve();
    await again;
    expect(await stored()).toBe(7);
  });

  it("stores counts from before midnight in their own month, though it runs after it", async () => {
    const { tracker, store, clock } = tracked();
    clock.set("2026-01-31T23:59:58Z");
    clock.advance(1_900);
    tracker.record("oci", { apiRequests: 1 });
    clock.advance(200);
    tracker.record("oci", { apiRequests: 10 });
    await tracker.flush();
    expect(await store.history({})).toEqual([
      { period: "2026-01", backend: "oci", usage: { apiRequests: 1 } },
      { period: "2026-02", backend: "oci", usage: { apiRequests: 10 } },
    ]);
  });

  it("reports rejected tallies, keeps them, and confirms the others", async () => {
    const memory = memoryStore();
    const reason = new Error("not this one");
    const store: UsageStore = {
      ...memory,
      async merge(tallies) {
        await memory.merge(tallies.filter(({ backend }) => backend !== "oci"));
        // Copies, as a store behind a network would return them.
        return structuredClone(tallies.filter(({ backend }) => backend === "oci")).map((tally) => ({ tally, reason }));
      },
    };
    const { tracker, counter } = tracked({ store });
    tracker.record("oci", { apiRequests: 2 });
    tracker.record("b2", { apiRequests: 3 });
    expect(await tracker.flush()).toMatchObject({ stored: 1, rejected: [{ tally: { backend: "oci" }, reason }] });
    expect(counter.load("oci", "apiRequests")).toBe(2);
    expect(counter.load("b2", "apiRequests")).toBe(0);
  });

  it("learns first what others had stored before the call, and only then stores; or does not learn, when told so", async () => {
    const memory = memoryStore();
    const calls: string[] = [];
    const store: UsageStore = {
      ...memory,
      totals: (...args) => {
        calls.push("totals");
        return memory.totals(...args);
      },
      merge: (...args) => {
        calls.push("merge");
        return memory.merge(...args);
      },
    };
    const { tracker } = tracked({ store });
    await memory.merge([{ writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 7 } }]);
    tracker.record("oci", { apiRequests: 1 });
    await tracker.flush({ learn: false });
    expect(calls).toEqual(["merge"]);
    expect(tracker.counter.totalAll("oci").apiRequests).toBe(1);
    tracker.record("oci", { apiRequests: 1 });
    await tracker.flush();
    expect(calls).toEqual(["merge", "totals", "merge"]);
    expect(tracker.counter.totalAll("oci").apiRequests).toBe(9);
  });

  it("runs one after the other, each with what was counted until its turn", async () => {
    const { store, gates, batches } = gatedStore(memoryStore());
    const { tracker, stored } = tracked({ store });
    tracker.record("oci", { apiRequests: 1 });
    const first = tracker.flush();
    await turn();
    tracker.record("oci", { apiRequests: 1 });
    const second = tracker.flush();
    const third = tracker.flush();
    await turn();
    expect(batches).toHaveLength(1);
    gates[0]?.resolve();
    expect(await first).toMatchObject({ stored: 1 });
    await turn();
    expect(batches).toHaveLength(2);
    expect(batches[1]).toMatchObject([{ usage: { apiRequests: 2 } }]);
    gates[1]?.resolve();
    expect(await second).toMatchObject({ stored: 1 });
    // The second flush left it nothing to store.
    expect(await third).toEqual({ stored: 0, rejected: [] });
    expect(batches).toHaveLength(2);
    expect(await stored()).toBe(2);
  });

  it("runs the waiting flush also when the one before it fails", async () => {
    const memory = memoryStore();
    let merges = 0;
    const merge: UsageStore["merge"] = (tallies) => {
      merges += 1;
      return merges === 1 ? Promise.reject(new Error("down")) : memory.merge(tallies);
    };
    const { tracker } = tracked({ store: { ...memory, merge } });
    tracker.record("oci", { apiRequests: 1 });
    const failing = tracker.flush();
    const next = tracker.flush();
    await expect(failing).rejects.toThrow("down");
    expect(await next).toEqual({ stored: 1, rejected: [] });
  });

  it("skips what it was told to when it was called, whatever becomes of the set", async () => {
    const { store, gates } = gatedStore(memoryStore());
    const { tracker, counter } = tracked({ store });
    tracker.record("oci", { apiRequests: 1 });
    tracker.record("b2", { apiRequests: 1 });
    const first = tracker.flush();
    await turn();
    const skip = new Set(["oci"]);
    const second = tracker.flush({ skip });
    skip.clear();
    skip.add("b2");
    gates[0]?.resolve();
    await first;
    await second;
    expect(counter.totalAll("oci").apiRequests).toBe(0);
    expect(counter.totalAll("b2").apiRequests).toBe(1);
  });

  it("discards what it is told to skip, and minds no name that is not held here", async () => {
    const { tracker, store, counter } = tracked();
    tracker.record("oci", { apiRequests: 1 });
    tracker.record("b2", { apiRequests: 1 });
    // Another instance holds it, or this one has let go of it.
    expect(await tracker.flush({ skip: new Set(["gone", "oci"]) })).toMatchObject({ stored: 1 });
    expect((await store.history({})).map(({ backend }) => backend)).toEqual(["b2"]);
    expect(counter.totalAll("oci").apiRequests).toBe(0);
    expect(counter.has("gone")).toBe(false);
  });
});

describe("refresh", () => {
  it("learns what others stored, and counts its own part once", async () => {
    const { tracker, store, clock } = tracked();
    const { counter: others } = tracked();
    const other = new UsageTracker(others, { store, clock });
    other.record("oci", { apiRequests: 100 });
    await other.flush();
    tracker.record("oci", { apiRequests: 1 });
    await tracker.flush({ learn: false });
    await tracker.refresh();
    expect(tracker.counter.totalAll("oci").apiRequests).toBe(101);
  });

  it("ignores what was read before midnight and arrives after it", async () => {
    const memory = memoryStore();
    await memory.merge([{ writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 100 } }]);
    const late: UsageStore = {
      ...memory,
      async totals(period, writer) {
        const stored = await memory.totals(period, writer);
        clock.advance(1_000);
        return stored;
      },
    };
    const { tracker, clock } = tracked({ store: late });
    clock.set("2026-01-31T23:59:59.900Z");
    await tracker.refresh();
    expect(tracker.counter.totalAll("oci").apiRequests).toBe(0);
  });

  it("counts a backend that was discarded before by the rows of all writers", async () => {
    const { tracker, counter } = tracked();
    tracker.record("oci", { apiRequests: 10 });
    await tracker.flush();
    counter.discard("oci");
    tracker.record("oci", { apiRequests: 3 });
    await tracker.flush();
    await tracker.refresh();
    expect(counter.totalAll("oci").apiRequests).toBe(13);
  });

  it("rejects when the store fails, and keeps what is known", async () => {
    const totals = () => Promise.reject(new Error("down"));
    const { tracker } = tracked({ store: { ...memoryStore(), totals } });
    tracker.setBaseline("oci", { apiRequests: 5, egressBytes: 0, ingressBytes: 0 });
    await expect(tracker.refresh()).rejects.toThrow("down");
    expect(tracker.counter.totalAll("oci").apiRequests).toBe(5);
  });
});
