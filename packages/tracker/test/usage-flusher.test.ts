import type { UsageStore } from "@usage/counter-core";
import { memoryStore } from "@usage/counter-core";
import { FlushError, FlushTimeoutError } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { flushing } from "./support/flushing.ts";
import { turn } from "./support/turn.ts";

describe("UsageFlusher", () => {
  it("learns what others used with each flush", async () => {
    const { flusher, tracker, memory, pass } = flushing();
    flusher.start();
    await memory.merge([{ writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 7 } }]);
    await pass(30_000);
    expect(tracker.counter.totalAll("oci").apiRequests).toBe(7);
  });

  it("backs off exponentially while the store fails, also near a limit, and stores all once it is back", async () => {
    const { flusher, tracker, state, pass, stored } = flushing();
    flusher.start();
    state.down = true;
    tracker.record("oci", { apiRequests: 90 });
    await pass(5_000);
    expect(state.merges).toBe(1);
    await pass(1_000 + 2_000 + 4_000);
    expect(state.merges).toBe(4);
    expect(flusher.status()).toMatchObject({ failures: 4, lastError: new Error("down") });
    await pass(300_000);
    const before = state.merges;
    await pass(60_000);
    expect(state.merges - before).toBe(2);
    state.down = false;
    await pass(30_000);
    expect(await stored()).toBe(90);
    expect(flusher.status().failures).toBe(0);
    expect(flusher.status().lastError).toBeUndefined();
  });

  it("gives a flush up after its timeout, and tries again", async () => {
    const { flusher, tracker, state, pass, stored } = flushing({ timeoutMs: 2_000 });
    flusher.start();
    state.hangs = true;
    tracker.record("oci", { apiRequests: 1 });
    await pass(32_000);
    expect(flusher.status().lastError).toBeInstanceOf(FlushTimeoutError);
    state.hangs = false;
    await pass(1_000);
    expect(await stored()).toBe(1);
  });

  it("does not wait for ever for a counter that does not say what it has counted, not even in the end", async () => {
    const { flusher, counter, pass } = flushing({ timeoutMs: 1_000 });
    Object.assign(counter, { tallies: () => new Promise(() => {}) });
    const stopped = flusher.stop().catch((error: unknown) => error);
    await pass(3_000);
    expect(await stopped).toBeInstanceOf(FlushTimeoutError);
  });

  it("flushes on demand, and says when that fails", async () => {
    const { flusher, tracker, clock, state, stored } = flushing();
    tracker.record("oci", { apiRequests: 1 });
    state.down = true;
    await expect(flusher.flush()).rejects.toThrow("down");
    state.down = false;
    await flusher.flush();
    expect(await stored()).toBe(1);
    expect(clock.pending).toBe(1); // the counter's own: no deadline is left behind
  });

  it("tells of a flush that could not even read the store, once", async () => {
    const away = new Error("away");
    const { flusher, events } = flushing({ store: { totals: () => Promise.reject(away) } });
    await expect(flusher.flush()).rejects.toThrow(away);
    expect(events).toMatchObject([{ stored: 0, rejected: [], error: away }]);
  });

  it("stores what is counted also while the totals cannot be read, says so once a flush, and tries again soon", async () => {
    const slow = new Error("too many rows");
    const { flusher, tracker, events, pass, stored } = flushing({ store: { totals: () => Promise.reject(slow) } });
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    expect(await stored()).toBe(1);
    expect(flusher.status()).toMatchObject({ failures: 1, lastError: slow });
    expect(events).toMatchObject([{ tracker, stored: 1, rejected: [], error: slow }]);
    tracker.record("oci", { apiRequests: 1 });
    await pass(1_000);
    expect(await stored()).toBe(2);
  });

  it("leaves time to store what is counted when the totals take too long to read", async () => {
    const totals = () => new Promise<never>(() => {});
    const { flusher, tracker, clock, pass, stored } = flushing({ store: { totals }, timeoutMs: 4_000 });
    tracker.record("oci", { apiRequests: 1 });
    const flushed = flusher.flush().catch((error: unknown) => error);
    await pass(2_500);
    expect(await stored()).toBe(1);
    expect(await flushed).toMatchObject({
      code: "USAGE_FLUSH_TIMEOUT",
      message: "reading the totals did not end within 2000 ms",
    });
    expect(clock.pending).toBe(1); // the counter's own: no deadline is left behind
  });

  it("stores again what a store has taken and lost, though nothing more is counted", async () => {
    let memory = memoryStore();
    const { flusher, tracker, pass } = flushing({
      store: {
        merge: (tallies) => memory.merge(tallies),
        totals: (period, writer) => memory.totals(period, writer),
      },
    });
    flusher.start();
    tracker.record("oci", { apiRequests: 3 });
    await pass(30_000);
    memory = memoryStore(); // a replica that had none of it
    await pass(30_000);
    expect(await memory.history({})).toEqual([{ period: "2026-01", backend: "oci", usage: { apiRequests: 3 } }]);
    expect(tracker.counter.totalAll("oci").apiRequests).toBe(3);
  });

  it("flushes a last time when it is stopped, and not after that", async () => {
    const { flusher, tracker, clock, pass, stored } = flushing();
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await Promise.all([flusher.stop(), flusher.stop()]);
    expect(await stored()).toBe(1);
    tracker.record("oci", { apiRequests: 1 });
    await pass(120_000);
    expect(await stored()).toBe(1);
    expect(clock.pending).toBe(1); // the counter's own
  });

  it("stores counts of the month before when it is stopped after midnight", async () => {
    const { flusher, tracker, clock, memory } = flushing();
    clock.set("2026-01-31T23:59:59.900Z");
    tracker.record("oci", { apiRequests: 1 });
    clock.advance(200);
    await flusher.stop();
    expect((await memory.history({})).map(({ period }) => period)).toEqual(["2026-01"]);
  });

  it("waits for a flush that is under way before it flushes the last time", async () => {
    const { flusher, tracker, state, pass, stored } = flushing({ timeoutMs: 5_000 });
    flusher.start();
    state.hangs = true;
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    const stopped = flusher.stop();
    state.hangs = false;
    await pass(5_000);
    await stopped;
    expect(await stored()).toBe(1);
    expect(flusher.status().failures).toBe(0);
  });

  it("flushes each time that it is stopped", async () => {
    const { flusher, tracker, stored } = flushing();
    await flusher.stop();
    tracker.record("oci", { apiRequests: 1 });
    await flusher.stop();
    expect(await stored()).toBe(1);
  });

  it("says what remains when the last flush fails, and can be stopped again", async () => {
    const { flusher, tracker, state, stored } = flushing();
    flusher.start();
    state.down = true;
    tracker.record("oci", { apiRequests: 1 });
    const failed = await flusher.stop().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(FlushError);
    expect(failed).toMatchObject({
      code: "USAGE_FLUSH",
      unstored: [{ period: "2026-01", backend: "oci", usage: { apiRequests: 1 } }],
      cause: new Error("down"),
    });
    state.down = false;
    await flusher.stop();
    expect(await stored()).toBe(1);
  });

  it("rejects when it is stopped while a tally is refused for ever", async () => {
    const merge: UsageStore["merge"] = async (tallies) => tallies.map((tally) => ({ tally, reason: new Error("no") }));
    const { flusher, tracker } = flushing({ store: { merge } });
    tracker.record("oci", { apiRequests: 1 });
    await expect(flusher.stop()).rejects.toMatchObject({ code: "USAGE_FLUSH", cause: new Error("no") });
  });

  it("is disposed of like any other resource", async () => {
    const { flusher, tracker, stored } = flushing();
    {
      await using disposed = flusher;
      disposed.start();
      tracker.record("oci", { apiRequests: 1 });
    }
    expect(await stored()).toBe(1);
  });

  it("fails and tries again while it cannot be told what to skip, and stores nothing meanwhile", async () => {
    let isKnown = false;
    const { flusher, tracker, pass, stored } = flushing({
      skip: () => {
        if (!isKnown) throw new Error("nobody knows");
        return new Set();
      },
    });
    tracker.record("oci", { apiRequests: 3 });
    await expect(flusher.flush()).rejects.toThrow("nobody knows");
    flusher.start();
    await pass(35_000);
    expect(flusher.status()).toMatchObject({ failures: expect.any(Number), lastError: new Error("nobody knows") });
    expect(flusher.status().failures).toBeGreaterThan(2);
    await expect(flusher.stop()).rejects.toMatchObject({ code: "USAGE_FLUSH", cause: new Error("nobody knows") });
    flusher.start();
    expect(await stored()).toBe(0);
    isKnown = true;
    await pass(35_000);
    expect([await stored(), flusher.status().failures]).toEqual([3, 0]);
  });

  it("skips what it is told to at each flush", async () => {
    const skip = new Set<string>();
    const { flusher, tracker, pass, stored } = flushing({ skip: () => skip });
    flusher.start();
    skip.add("oci");
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    expect(await stored()).toBe(0);
    expect(tracker.counter.load("oci", "apiRequests")).toBe(0);
  });

  it("runs for 60 days, and stores each month's counts in it", async () => {
    const hourMs = 3_600_000;
    const { flusher, tracker, clock, memory } = flushing({ intervalMs: hourMs, nearLimitIntervalMs: hourMs });
    flusher.start();
    for (let hour = 0; hour < 60 * 24; hour++) {
      tracker.record("oci", { apiRequests: 1 });
      clock.advance(hourMs);
      await turn(3);
    }
    await flusher.stop();
    const history = await memory.history({});
    expect(history.map(({ period, usage }) => [period, usage.apiRequests])).toEqual([
      ["2026-01", 17 * 24],
      ["2026-02", 28 * 24],
      ["2026-03", 15 * 24],
    ]);
  });
});
