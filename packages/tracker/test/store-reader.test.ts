import { LocalCounterBackend, memoryStore, type TotalsQuery, type UsageStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { turn } from "./support/turn.ts";

function setUp(backends: readonly string[] = ["oci", "b2"]) {
  const clock = new ManualClock("2026-01-15T00:00:00Z");
  let memory = memoryStore();
  const queries: (TotalsQuery | undefined)[] = [];
  const answered: (readonly string[])[] = [];
  const state = { isDown: false };
  const store: UsageStore = {
    ...memory,
    merge: (tallies) => memory.merge(tallies),
    async totals(period, writer, query) {
      queries.push(query);
      if (state.isDown) throw new Error("down");
      const totals = await memory.totals(period, writer, query);
      answered.push([...totals.usage.keys()]);
      return totals;
    },
  };
  const counter = new LocalCounterBackend(backends, { clock });
  const tracker = new UsageTracker(counter, { store, clock });
  const others = (backend: string, apiRequests: number, period = "2026-01") =>
    memory.merge([{ writer: "other", period, backend, usage: { apiRequests } }]);
  const replace = (): void => {
    memory = memoryStore();
  };
  const stored = async () => (await memory.history({})).map(({ backend, usage }) => [backend, usage.apiRequests]);
  const total = (backend: string): number => counter.totalAll(backend).apiRequests;
  return { clock, tracker, counter, store, queries, answered, state, others, total, replace, stored };
}

describe("a tracker learns", () => {
  it("what is held at first, then only what changed since", async () => {
    const { tracker, queries, answered, others, total } = setUp();
    await others("oci", 5);
    await others("nobody's", 5);
    await tracker.refresh();
    expect(queries).toEqual([{ backends: ["oci", "b2"] }]);
    expect(answered).toEqual([["oci"]]);
    await others("b2", 7);
    await tracker.refresh();
    expect(queries[1]).toEqual({ since: expect.any(String) });
    expect([total("oci"), total("b2")]).toEqual([5, 7]);
  });

  it("one read after the other: what is learnt, and what is read for that, belong together", async () => {
    const { tracker, counter, store, others, total } = setUp();
    const gates: PromiseWithResolvers<void>[] = [];
    const { tallies } = store;
    store.tallies = async (...asked) => {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
      return tallies(...asked);
    };
    await others("oci", 5);
    counter.discard("oci"); // its rows are read from now on
    const reads = [tracker.refresh(), tracker.refresh()];
    await turn(10);
    expect(gates).toHaveLength(1);
    await others("oci", 7);
    gates[0]?.resolve();
    await reads[0];
    await turn(10);
    gates[1]?.resolve();
    await reads[1];
    expect(total("oci")).toBe(7);
  });

  it("nothing of what did not change: it is not taken for lost", async () => {
    const { tracker, counter, others } = setUp();
    tracker.record("oci", { apiRequests: 3 });
    await tracker.flush();
    for (let i = 0; i < 3; i++) {
      await others("b2", i + 1);
      await tracker.refresh();
      expect(await counter.tallies()).toEqual([]);
    }
  });

  it("all that is held again after ten minutes, and when the clock was set back as far, so that a loss shows", async () => {
    const { clock, tracker, queries } = setUp();
    for (const ms of [0, 599_999, 1, 1_000, -900_000]) {
      if (ms < 0) clock.set(clock.now() + ms);
      else clock.advance(ms);
      await tracker.refresh();
    }
    expect(queries.map((query) => query?.backends !== undefined)).toEqual([true, false, true, false, true]);
  });

  it("all that is held of a month that has begun", async () => {
    const { clock, tracker, queries, others, total } = setUp();
    await others("oci", 5);
    await others("oci", 9, "2026-02");
    await tracker.refresh();
    clock.set("2026-02-01T00:00:00Z");
    clock.advance(1_000);
    await tracker.refresh();
    expect(queries[1]).toEqual({ backends: ["oci", "b2"] });
    expect(total("oci")).toBe(9);
  });

  it("all of a month again into which the clock steps back, where it was let go of, though nothing has changed since", async () => {
    const { clock, tracker, others, total } = setUp();
    await others("oci", 5);
    await tracker.refresh();
    for (const time of ["2026-03-01T00:00:00Z", "2026-01-15T00:00:01Z"]) {
      clock.set(time);
      clock.advance(1_000);
    }
    expect(total("oci")).toBe(0);
    await tracker.refresh();
    expect(total("oci")).toBe(5);
  });

  it("what others stored while a backend was being brought in, though a read has passed over it meanwhile", async () => {
    const { tracker, store, others, total } = setUp();
    await tracker.refresh();
    const gate = Promise.withResolvers<void>();
    const { tallies } = store;
    store.tallies = async (...asked) => {
      const rows = await tallies(...asked);
      await gate.promise;
      return rows;
    };
    const ensured = tracker.ensure("acme");
    await new Promise((resolve) => setTimeout(resolve, 5));
    await others("acme", 100);
    await tracker.refresh();
    gate.resolve();
    await ensured;
    await tracker.refresh();
    expect(total("acme")).toBe(100);
  });

  it("what was stored of a backend before it was discarded, though nothing has changed since", async () => {
    const { tracker, counter, total } = setUp();
    tracker.record("oci", { apiRequests: 3 });
    await tracker.flush();
    await tracker.refresh();
    counter.discard("oci");
    expect(total("oci")).toBe(0);
    await tracker.refresh();
    expect(total("oci")).toBe(3);
  });

  it("what it missed where a read failed", async () => {
    const { tracker, state, others, total } = setUp();
    await tracker.refresh();
    await others("oci", 5);
    state.isDown = true;
    await expect(tracker.refresh()).rejects.toThrow("down");
    state.isDown = false;
    await tracker.refresh();
    expect(total("oci")).toBe(5);
  });

  it("what others stored of backends that came to be held since", async () => {
    const { tracker, others, total } = setUp([]);
    await tracker.refresh();
    await others("acme", 5);
    await tracker.ensure("acme");
    expect(total("acme")).toBe(5);
    await others("acme", 6);
    await tracker.flush();
    expect(total("acme")).toBe(6);
  });

  it("that a store has lost what it took last, and reads all that is held: that is stored again", async () => {
    const { tracker, queries, replace, stored } = setUp();
    for (const backend of ["oci", "b2"]) {
      tracker.record(backend, { apiRequests: 3 });
      await tracker.flush();
    }
    replace(); // a replica that had nothing of it
    await tracker.flush();
    expect(queries.slice(-3)).toEqual([
      { since: expect.any(String) },
      { backends: ["b2"] },
      { backends: ["oci", "b2"] },
    ]);
    expect(await stored()).toEqual([
      ["b2", 3],
      ["oci", 3],
    ]);
    await tracker.refresh();
    expect(queries.slice(-2)).toEqual([{ since: expect.any(String) }, { backends: ["b2", "oci"] }]);
  });

  it("from a store without cursors all that is held each time", async () => {
    const { tracker, store, queries, others, total } = setUp();
    const without: UsageStore = {
      ...store,
      totals: async (period, writer, query) => ({ usage: (await store.totals(period, writer, query)).usage }),
    };
    const counter = tracker.counter;
    const second = new UsageTracker(counter, { store: without });
    await second.refresh();
    await others("b2", 7);
    await second.refresh();
    expect(queries).toEqual([{ backends: ["oci", "b2"] }, { backends: ["oci", "b2"] }]);
    expect(total("b2")).toBe(7);
  });
});
