import { LocalCounterBackend, type UsageStore } from "@usage/counter-core";
import { ManualClock, memoryStore } from "@usage/counter-core/testing";
import {
  FlushError,
  type FlushMessage,
  FlushTimeoutError,
  flushChannel,
  UsageFlusher,
  type UsageFlusherOptions,
  UsageTracker,
} from "@usage/tracker";
import { describe, expect, it, onTestFinished } from "vitest";

type Options = Partial<Omit<UsageFlusherOptions, "tracker">>;

function setUp(options: Options = {}) {
  const clock = new ManualClock("2026-01-15T00:00:00Z");
  const counter = new LocalCounterBackend(["oci"], { clock });
  const tracker = new UsageTracker(counter, { limits: { oci: { apiRequests: 100 } } });
  const memory = memoryStore();
  const hung = Promise.withResolvers<void>();
  /** `finish` ends the merges that hang. */
  const state = { down: false, hangs: false, merges: 0, finish: hung.resolve };
  const store: UsageStore = {
    ...memory,
    async merge(tallies) {
      state.merges += 1;
      if (state.hangs) await hung.promise;
      if (state.down) throw new Error("down");
      return memory.merge(tallies);
    },
  };
  const flusher = new UsageFlusher({ tracker, store, clock, random: () => 0, ...options });
  /** Lets time pass in steps, with all that is asynchronous in between. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(Math.min(left, 500));
      for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const stored = async (): Promise<number> => (await memory.history({}))[0]?.usage.apiRequests ?? 0;
  return { clock, counter, tracker, memory, store, state, flusher, pass, stored };
}

describe("UsageFlusher", () => {
  it("flushes once an interval", async () => {
    const { flusher, tracker, pass, stored } = setUp();
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await pass(29_500);
    expect(await stored()).toBe(0);
    await pass(500);
    expect(await stored()).toBe(1);
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    expect(await stored()).toBe(2);
    expect(flusher.status()).toMatchObject({ failures: 0, lastFlushMs: Date.parse("2026-01-15T00:01:00Z") });
  });

  it("flushes at the shorter interval as soon as a backend comes near a limit", async () => {
    const { flusher, tracker, pass, stored } = setUp();
    flusher.start();
    await pass(6_000);
    tracker.record("oci", { apiRequests: 80 });
    await pass(4_000);
    expect(await stored()).toBe(80);
    tracker.record("oci", { apiRequests: 1 });
    await pass(5_000);
    expect(await stored()).toBe(81);
  });

  it("learns what others used with each flush", async () => {
    const { flusher, tracker, memory, pass } = setUp();
    flusher.start();
    await memory.merge([{ writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 7 } }]);
    await pass(30_000);
    expect(tracker.backend.totalAll("oci").apiRequests).toBe(7);
  });

  it("takes over other times while it runs, and flushes at once, however often they change", async () => {
    const { flusher, tracker, pass, stored } = setUp();
    flusher.start();
    for (let i = 1; i <= 3; i++) {
      tracker.record("oci", { apiRequests: 1 });
      flusher.reschedule({ intervalMs: 10_000 });
      await pass(500);
      expect(await stored()).toBe(i);
    }
    tracker.record("oci", { apiRequests: 1 });
    await pass(9_000);
    expect(await stored()).toBe(3);
    await pass(1_000);
    expect(await stored()).toBe(4);
  });

  it("keeps its times when it is given others that cannot be, and starts nothing by being given some", async () => {
    const { flusher, tracker, pass, stored } = setUp({ intervalMs: 10_000 });
    expect(() => flusher.reschedule({ intervalMs: 0 })).toThrow("intervalMs must be from 1 to 2^31-1, got 0");
    expect(() => flusher.reschedule({ nearLimitRatio: Number.NaN })).toThrow(RangeError);
    flusher.reschedule({ intervalMs: 20_000 });
    tracker.record("oci", { apiRequests: 1 });
    await pass(60_000);
    expect(await stored()).toBe(0);
    flusher.start();
    await pass(19_500);
    expect(await stored()).toBe(0);
    await pass(500);
    expect(await stored()).toBe(1);
  });

  it("shortens its waits by up to a tenth, and never lengthens them", async () => {
    const { flusher, tracker, pass, stored } = setUp({ random: () => 0.999 });
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await pass(26_500);
    expect(await stored()).toBe(0);
    await pass(1_000);
    expect(await stored()).toBe(1);
  });

  it("backs off exponentially while the store fails, also near a limit, and stores all once it is back", async () => {
    const { flusher, tracker, state, pass, stored } = setUp();
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
    const { flusher, tracker, state, pass, stored } = setUp({ timeoutMs: 2_000 });
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
    const { flusher, counter, pass } = setUp({ timeoutMs: 1_000 });
    Object.assign(counter, { tallies: () => new Promise(() => {}) });
    const stopped = flusher.stop().catch((error: unknown) => error);
    await pass(3_000);
    expect(await stopped).toBeInstanceOf(FlushTimeoutError);
  });

  it("flushes on demand, and says when that fails", async () => {
    const { flusher, tracker, clock, state, stored } = setUp();
    tracker.record("oci", { apiRequests: 1 });
    state.down = true;
    await expect(flusher.flush()).rejects.toThrow("down");
    state.down = false;
    await flusher.flush();
    expect(await stored()).toBe(1);
    expect(clock.pending).toBe(1); // the counter's own: no deadline is left behind
  });

  it("tells the channel usage:flush of a flush that could not even read the store, once", async () => {
    const { flusher, tracker, store, clock } = setUp();
    const messages: FlushMessage[] = [];
    const listener = (message: unknown): void => void messages.push(message as FlushMessage);
    flushChannel.subscribe(listener);
    onTestFinished(() => void flushChannel.unsubscribe(listener));
    const away = new Error("away");
    const totals = () => Promise.reject(away);
    const cut = new UsageFlusher({ tracker, store: { ...store, totals }, clock });
    await expect(cut.flush()).rejects.toThrow(away);
    expect(messages).toEqual([{ stored: 0, rejected: [], error: away }]);
    await flusher.flush();
    expect(messages.slice(1)).toEqual([{ stored: 0, rejected: [] }]);
  });

  it("stores what is counted also while the totals cannot be read, says so once a flush, and tries again soon", async () => {
    const { tracker, store, clock, pass, stored } = setUp();
    const messages: FlushMessage[] = [];
    const listener = (message: unknown): void => void messages.push(message as FlushMessage);
    flushChannel.subscribe(listener);
    onTestFinished(() => void flushChannel.unsubscribe(listener));
    const slow = new Error("too many rows");
    const flusher = new UsageFlusher({
      tracker,
      store: { ...store, totals: () => Promise.reject(slow) },
      clock,
      random: () => 0,
    });
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    expect(await stored()).toBe(1);
    expect(flusher.status()).toMatchObject({ failures: 1, lastError: slow });
    expect(messages).toEqual([{ stored: 1, rejected: [], error: slow }]);
    tracker.record("oci", { apiRequests: 1 });
    await pass(1_000);
    expect(await stored()).toBe(2);
  });

  it("leaves time to store what is counted when the totals take too long to read", async () => {
    const { tracker, store, clock, pass, stored } = setUp();
    const totals = () => new Promise<never>(() => {});
    const flusher = new UsageFlusher({ tracker, store: { ...store, totals }, clock, timeoutMs: 4_000 });
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
    const { tracker, clock, pass } = setUp();
    let memory = memoryStore();
    const store: UsageStore = {
      ...memory,
      merge: (tallies) => memory.merge(tallies),
      totals: (period, writer) => memory.totals(period, writer),
    };
    const flusher = new UsageFlusher({ tracker, store, clock, random: () => 0 });
    flusher.start();
    tracker.record("oci", { apiRequests: 3 });
    await pass(30_000);
    memory = memoryStore(); // a replica that had none of it
    await pass(30_000);
    expect(await memory.history({})).toEqual([{ period: "2026-01", backend: "oci", usage: { apiRequests: 3 } }]);
    expect(tracker.backend.totalAll("oci").apiRequests).toBe(3);
  });

  it("flushes a last time when it is stopped, and not after that", async () => {
    const { flusher, tracker, clock, pass, stored } = setUp();
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
    const { flusher, tracker, clock, memory } = setUp();
    clock.set("2026-01-31T23:59:59.900Z");
    tracker.record("oci", { apiRequests: 1 });
    clock.advance(200);
    await flusher.stop();
    expect((await memory.history({})).map(({ period }) => period)).toEqual(["2026-01"]);
  });

  it("has one schedule, however often it is started, and goes on after it was stopped", async () => {
    const { flusher, tracker, clock, state, pass } = setUp();
    flusher.start();
    flusher.start();
    expect(clock.pending).toBe(2); // the counter's own, and one
    await flusher.stop();
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    expect(state.merges).toBe(1);
  });

  it("has one schedule also when it is stopped and started during a flush", async () => {
    const { flusher, tracker, clock, state, pass } = setUp({ timeoutMs: 2_000 });
    flusher.start();
    state.hangs = true;
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_500);
    const stopped = flusher.stop().catch((error: unknown) => error);
    flusher.start();
    await pass(2_000);
    state.hangs = false;
    await pass(2_000);
    await stopped;
    expect(clock.pending).toBe(2);
    await flusher.stop();
    const { merges } = state;
    tracker.record("oci", { apiRequests: 1 });
    await pass(120_000);
    expect(state.merges).toBe(merges);
    expect(clock.pending).toBe(1);
  });

  it("waits for a flush that is under way before it flushes the last time", async () => {
    const { flusher, tracker, state, pass, stored } = setUp({ timeoutMs: 5_000 });
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
    const { flusher, tracker, stored } = setUp();
    await flusher.stop();
    tracker.record("oci", { apiRequests: 1 });
    await flusher.stop();
    expect(await stored()).toBe(1);
  });

  it("flushes and learns what others used soon after the clock was set to another period", async () => {
    const { flusher, tracker, clock, memory, pass } = setUp();
    await memory.merge([{ writer: "w", period: "2026-02", backend: "oci", usage: { apiRequests: 100 } }]);
    flusher.start();
    await pass(6_000);
    clock.set("2026-02-20T00:00:00Z");
    await pass(5_000);
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(false);
  });

  it("learns what others used of a period to which the clock was set during a flush", async () => {
    const { flusher, tracker, clock, memory, state, pass } = setUp({ timeoutMs: 2 ** 31 - 1 });
    await memory.merge([{ writer: "w", period: "2026-02", backend: "oci", usage: { apiRequests: 100 } }]);
    flusher.start();
    state.hangs = true;
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    clock.set("2026-02-01T00:00:00Z");
    await pass(1_000); // the counter notices
    state.finish();
    await pass(5_500);
    expect(flusher.status().failures).toBe(0);
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(false);
  });

  it("spreads the flushes near a limit, too", async () => {
    const { flusher, tracker, pass, stored } = setUp({ random: () => 0.999 });
    flusher.start();
    tracker.record("oci", { apiRequests: 90 });
    await pass(4_600);
    expect(await stored()).toBe(90);
  });

  it("says what remains when the last flush fails, and can be stopped again", async () => {
    const { flusher, tracker, state, stored } = setUp();
    flusher.start();
    state.down = true;
    tracker.record("oci", { apiRequests: 1 });
    const failed = await flusher.stop().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(FlushError);
    expect(failed).toMatchObject({
      code: "USAGE_FLUSH",
      remaining: [{ period: "2026-01", backend: "oci", usage: { apiRequests: 1 } }],
      cause: new Error("down"),
    });
    state.down = false;
    await flusher.stop();
    expect(await stored()).toBe(1);
  });

  it("rejects when it is stopped while a tally is refused for ever", async () => {
    const { tracker, store } = setUp();
    tracker.record("oci", { apiRequests: 1 });
    const refusing: UsageStore = {
      ...store,
      merge: async (tallies) => tallies.map((tally) => ({ tally, reason: new Error("no") })),
    };
    const failed = new UsageFlusher({ tracker, store: refusing }).stop();
    await expect(failed).rejects.toMatchObject({ code: "USAGE_FLUSH", cause: new Error("no") });
  });

  it("is disposed of like any other resource", async () => {
    const { flusher, tracker, stored } = setUp();
    {
      await using disposed = flusher;
      disposed.start();
      tracker.record("oci", { apiRequests: 1 });
    }
    expect(await stored()).toBe(1);
  });

  it("ends its schedule without a flush when its signal aborts", async () => {
    const controller = new AbortController();
    const { flusher, tracker, pass, state } = setUp({ signal: controller.signal });
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    controller.abort();
    await pass(60_000);
    flusher.start();
    await pass(60_000);
    expect(state.merges).toBe(0);
  });

  it("skips what it is told to at each flush", async () => {
    const skip = new Set<string>();
    const { flusher, tracker, pass, stored } = setUp({ skip: () => skip });
    flusher.start();
    skip.add("oci");
    tracker.record("oci", { apiRequests: 1 });
    await pass(30_000);
    expect(await stored()).toBe(0);
    expect(tracker.backend.load("oci", "apiRequests")).toBe(0);
  });

  it("does not flush for longer than it may when the clock is set back", async () => {
    const { flusher, tracker, clock, pass, stored } = setUp();
    flusher.start();
    tracker.record("oci", { apiRequests: 1 });
    await pass(10_000);
    clock.set("2026-01-14T12:00:00Z");
    await pass(20_000);
    expect(await stored()).toBe(1);
  });

  it("runs for 60 days, and stores each month's counts in it", async () => {
    const hourMs = 3_600_000;
    const { flusher, tracker, clock, memory } = setUp({ intervalMs: hourMs, nearLimitIntervalMs: hourMs });
    flusher.start();
    for (let hour = 0; hour < 60 * 24; hour++) {
      tracker.record("oci", { apiRequests: 1 });
      clock.advance(hourMs);
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    }
    await flusher.stop();
    const history = await memory.history({});
    expect(history.map(({ period, usage }) => [period, usage.apiRequests])).toEqual([
      ["2026-01", 17 * 24],
      ["2026-02", 28 * 24],
      ["2026-03", 15 * 24],
    ]);
  });

  it.each([
    { intervalMs: 0 },
    { intervalMs: 2 ** 31 },
    { nearLimitIntervalMs: Number.NaN },
    { timeoutMs: -1 },
    { nearLimitRatio: 0 },
  ])("refuses %j", (wrong) => {
    expect(() => setUp(wrong)).toThrow(RangeError);
  });
});
