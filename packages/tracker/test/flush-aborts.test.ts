import type { UsageStore } from "@usage/counter-core";
import { memoryStore } from "@usage/counter-core";
import { FlushTimeoutError } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { gatedStore } from "./support/gated-store.ts";
import { tracked } from "./support/tracked.ts";
import { turn } from "./support/turn.ts";

const never = (): Promise<never> => new Promise(() => {});

/** A store of which one method never ends, which `state` can change; and the signals that its merges were given. */
function hangingStore(hangs: keyof UsageStore | undefined) {
  const memory = memoryStore();
  const state = { hangs };
  const signals: (AbortSignal | undefined)[] = [];
  const store: UsageStore = {
    ...memory,
    totals: (...args) => (state.hangs === "totals" ? never() : memory.totals(...args)),
    tallies: (...args) => (state.hangs === "tallies" ? never() : memory.tallies(...args)),
    merge: (tallies, options) => {
      signals.push(options?.signal);
      return state.hangs === "merge" ? never() : memory.merge(tallies, options);
    },
  };
  return { store, state, signals };
}

describe("a flush that is aborted", () => {
  it("rejects at once, though the store may still finish, which does no harm", async () => {
    const { store, gates } = gatedStore(memoryStore());
    const { tracker, stored } = tracked({ store });
    tracker.record("oci", { apiRequests: 1 });
    const controller = new AbortController();
    const aborted = tracker.flush({ signal: controller.signal });
    await turn();
    controller.abort(new Error("too slow"));
    await expect(aborted).rejects.toThrow("too slow");
    gates[0]?.resolve();
    await turn(2);
    const again = tracker.flush();
    await turn();
    gates[1]?.resolve();
    await again;
    expect(await stored()).toBe(1);
  });

  it("never begins when it is aborted beforehand", async () => {
    const { tracker, stored } = tracked();
    tracker.record("oci", { apiRequests: 1 });
    const aborted = tracker.flush({ signal: AbortSignal.abort(new Error("never begun")) });
    await expect(aborted).rejects.toThrow("never begun");
    await turn(2);
    expect(await stored()).toBe(0);
  });

  it("rejects at once while the totals never come, and stores nothing", async () => {
    const { store } = hangingStore("totals");
    const { tracker, stored } = tracked({ store });
    tracker.record("oci", { apiRequests: 1 });
    const controller = new AbortController();
    const flushed = tracker.flush({ signal: controller.signal });
    await turn();
    controller.abort(new Error("enough"));
    await expect(flushed).rejects.toThrow("enough");
    await turn(2);
    expect(await stored()).toBe(0);
  });

  it("rejects at once while the counter takes its time", async () => {
    const { tracker, counter } = tracked();
    Object.assign(counter, { tallies: never });
    await expect(tracker.flush({ signal: AbortSignal.timeout(5) })).rejects.toThrow(/timeout/);
  });

  it("is let go of while it waits, and nothing else is", async () => {
    const { store, open } = gatedStore(memoryStore());
    const { tracker, stored } = tracked({ store });
    tracker.record("oci", { apiRequests: 1 });
    const first = tracker.flush();
    await turn();
    const controller = new AbortController();
    const waiting = tracker.flush({ signal: controller.signal });
    const another = tracker.flush();
    controller.abort(new Error("no longer"));
    await expect(waiting).rejects.toThrow("no longer");
    open();
    await Promise.all([first, another]);
    expect(await stored()).toBe(1);
  });

  it("passes its signal on to the store", async () => {
    const { store, signals } = hangingStore("merge");
    const { tracker } = tracked({ store });
    tracker.record("oci", { apiRequests: 1 });
    const controller = new AbortController();
    const flushed = tracker.flush({ signal: controller.signal });
    await turn();
    controller.abort(new Error("enough"));
    await expect(flushed).rejects.toThrow("enough");
    expect(signals.map((signal) => signal?.reason)).toEqual([new Error("enough")]);
  });
});

describe("a flush that takes too long", () => {
  it.each(["totals", "merge"] as const)("ends in time while %s never ends, and the next one goes on", async (hangs) => {
    const { store, state } = hangingStore(hangs);
    const { tracker, clock, stored } = tracked({ store });
    tracker.record("oci", { apiRequests: 1 });
    const flushed = tracker.flush({ timeoutMs: 4_000 }).catch((error: unknown) => error);
    await turn();
    clock.advance(4_000);
    await turn(2);
    expect(await flushed).toBeInstanceOf(FlushTimeoutError);
    state.hangs = undefined;
    await tracker.flush();
    expect(await stored()).toBe(1);
    expect(clock.pending).toBe(1); // the counter's own: no deadline is left behind
  });

  it("has its turn after other flushes counted in", async () => {
    const { store } = hangingStore("merge");
    const { tracker, clock } = tracked({ store });
    tracker.record("oci", { apiRequests: 1 });
    const first = tracker.flush({ timeoutMs: 10_000 }).catch((error: unknown) => error);
    const second = tracker.flush({ timeoutMs: 2_000 }).catch((error: unknown) => error);
    await turn();
    clock.advance(2_000);
    expect(await second).toMatchObject({ code: "USAGE_FLUSH_TIMEOUT", timeoutMs: 2_000 });
    clock.advance(8_000);
    expect(await first).toMatchObject({ code: "USAGE_FLUSH_TIMEOUT", timeoutMs: 10_000 });
    await turn(2);
    expect(clock.pending).toBe(1);
  });

  it.each([0, -1, Number.NaN, 2 ** 31])("is refused where it may take %s ms", async (timeoutMs) => {
    const { tracker } = tracked();
    await expect(tracker.flush({ timeoutMs })).rejects.toThrow(/timeoutMs must be from 1 to 2\^31-1 ms/);
    expect(() => tracked({ readTimeoutMs: timeoutMs })).toThrow(/readTimeoutMs must be from 1 to 2\^31-1 ms/);
  });
});

describe("a refresh that is aborted", () => {
  it("rejects at once while the store takes its time", async () => {
    const { store } = hangingStore("totals");
    const { tracker } = tracked({ store });
    await expect(tracker.refresh({ signal: AbortSignal.timeout(5) })).rejects.toThrow(/timeout/);
  });

  it("rejects at once while the counter takes its time", async () => {
    const { tracker, counter, store } = tracked();
    await store.merge([{ writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 1 } }]);
    Object.assign(counter, { learn: () => ["oci"], absorb: never });
    await expect(tracker.refresh({ signal: AbortSignal.timeout(5) })).rejects.toThrow(/timeout/);
  });

  it("rejects at once when it is aborted beforehand, whatever the store does then", async () => {
    const totals = () => Promise.reject(new Error("down"));
    const { tracker } = tracked({ store: { ...memoryStore(), totals } });
    await expect(tracker.refresh({ signal: AbortSignal.abort(new Error("no")) })).rejects.toThrow("no");
    await turn(2); // what the store rejects with is nobody's unhandled rejection
  });
});
