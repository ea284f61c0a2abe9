import { LocalCounterBackend, memoryStore, type UsageStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { FlushError, StoreLossError, UsageFlusher, UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";

/** A store that loses all that it has when it is told to, and that notices in its next merge or read, as a file's does. */
function losingStore() {
  let inner = memoryStore();
  let losses = 0;
  let gone = false;
  const state = { losesEachMerge: false, broken: false, merges: 0 };
  const look = (): void => {
    if (gone) losses += 1;
    if (gone) inner = memoryStore();
    gone = false;
    if (state.broken) throw new Error("its folder is gone");
  };
  const store: UsageStore = {
    ...inner,
    losses: () => losses,
    async merge(tallies) {
      state.merges += 1;
      look();
      await inner.merge(tallies);
      if (state.losesEachMerge) losses += 1;
      return [];
    },
    async totals(period, writer, query) {
      look();
      return inner.totals(period, writer, query);
    },
  };
  const stored = async () => (await inner.history({})).map(({ period, usage }) => [period, usage.apiRequests]);
  const lose = (): void => {
    gone = true;
  };
  return { store, state, stored, lose };
}

function setUp() {
  const clock = new ManualClock("2026-01-15T00:00:00Z");
  const counter = new LocalCounterBackend(["oci"], { clock });
  const losing = losingStore();
  const tracker = new UsageTracker(counter, { store: losing.store, clock });
  const flusher = new UsageFlusher({ tracker, clock, random: () => 0 });
  const results: unknown[] = [];
  tracker.onFlush(({ stored, rejected, lost }) => void results.push({ stored, rejected, ...(lost && { lost }) }));
  return { clock, counter, tracker, flusher, results, ...losing };
}

describe("a store that finds that what it had confirmed is gone", () => {
  it("gets all that is counted again in that flush, closed periods included, and the flush says so", async () => {
    const { clock, tracker, stored, lose } = setUp();
    tracker.record("oci", { apiRequests: 10 });
    await tracker.flush();
    clock.set("2026-02-15T00:00:00Z");
    clock.advance(1_000);
    tracker.record("oci", { apiRequests: 5 });
    expect(await tracker.flush()).toEqual({ stored: 1, rejected: [] });
    lose();
    tracker.record("oci", { apiRequests: 1 });
    expect(await tracker.flush()).toEqual({ stored: 2, rejected: [], lost: true });
    expect(await stored()).toEqual([
      ["2026-01", 10],
      ["2026-02", 6],
    ]);
    expect(await tracker.flush()).toEqual({ stored: 0, rejected: [] });
  });

  it("gets it again when the last flush finds it, though nothing was counted since the one before", async () => {
    const { tracker, flusher, results, stored, lose } = setUp();
    tracker.record("oci", { apiRequests: 10 });
    await flusher.flush();
    lose();
    await flusher.stop();
    expect(await stored()).toEqual([["2026-01", 10]]);
    expect(results).toEqual([
      { stored: 1, rejected: [] },
      { stored: 1, rejected: [], lost: true },
    ]);
  });

  it("gets it again when somebody's read has found it, also for each of two counters", async () => {
    const { tracker, clock, store, stored, lose } = setUp();
    const other = new UsageTracker(new LocalCounterBackend(["oci"], { clock }), { store, clock });
    for (const one of [tracker, other]) one.record("oci", { apiRequests: 3 });
    for (const one of [tracker, other]) await one.flush();
    lose();
    await store.totals("2026-01", "");
    for (const one of [tracker, other]) expect(await one.flush()).toMatchObject({ stored: 1, lost: true });
    expect(await stored()).toEqual([["2026-01", 6]]);
  });

  it("is not taken to have stored anything while it cannot begin anew, not even at the end", async () => {
    const { tracker, flusher, state, stored, lose } = setUp();
    tracker.record("oci", { apiRequests: 10 });
    await flusher.flush();
    lose();
    state.broken = true;
    const error = await flusher.stop().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(FlushError);
    expect(error).toMatchObject({
      unstored: [{ usage: { apiRequests: 10 } }],
      cause: new Error("its folder is gone"),
    });
    state.broken = false;
    await flusher.stop();
    expect(await stored()).toEqual([["2026-01", 10]]);
  });

  it("fails the flush when it loses over and over what it has just confirmed, and the counts are kept", async () => {
    const { tracker, state, stored } = setUp();
    tracker.record("oci", { apiRequests: 10 });
    state.losesEachMerge = true;
    await expect(tracker.flush()).rejects.toThrow(StoreLossError);
    expect(state.merges).toBe(3);
    state.losesEachMerge = false;
    expect(await tracker.flush()).toEqual({ stored: 1, rejected: [] });
    expect(await stored()).toEqual([["2026-01", 10]]);
  });
});
