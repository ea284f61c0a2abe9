import { memoryStore, type UsageStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { DeliveryTimeoutError, type ThresholdEvent } from "@usage/tracker";
import { describe, expect, it, vi } from "vitest";
import { namesOf, notifying, settled } from "./notifying.ts";

describe("thresholds", () => {
  it("are told of once each, when what is stored reaches them and not before", async () => {
    const { tracker, told, use, pass } = await notifying();
    await use(49);
    tracker.record("oci", { apiRequests: 50 });
    await pass(60_000);
    // What is counted and not stored may never be.
    expect(told).toEqual([]);
    await tracker.flush();
    await settled();
    const event = { backend: "oci", dimension: "apiRequests", limit: 100, usage: 99, period: "2026-01" };
    expect(told).toEqual([
      { ...event, threshold: 0.5, id: expect.stringMatching(/^[0-9a-f]{32}$/) },
      { ...event, threshold: 0.8, id: expect.stringMatching(/^[0-9a-f]{32}$/) },
    ]);
    expect(told[0]).not.toHaveProperty("window");
    await use(1);
    await use(500);
    await pass(3_600_000);
    expect(namesOf(told)).toEqual(["oci 0.5 of 100", "oci 0.8 of 100", "oci 1 of 100"]);
    expect(new Set(told.map(({ id }) => id)).size).toBe(3);
  });

  it("are told of in the order in which they are reached, whatever order they are given in, of each dimension", async () => {
    const limits = { oci: { apiRequests: 10, egressBytes: 1_000 } };
    const { tracker, told } = await notifying({ limits, thresholds: [1, 1.5, 0.25] });
    tracker.record("oci", { apiRequests: 15, egressBytes: 999, ingressBytes: 1_000_000 });
    await tracker.flush();
    await settled();
    const ofRequests = told.filter(({ dimension }) => dimension === "apiRequests").map(({ threshold }) => threshold);
    expect(ofRequests).toEqual([0.25, 1, 1.5]);
    expect(told.filter(({ dimension }) => dimension === "egressBytes")).toMatchObject([
      { threshold: 0.25, usage: 999 },
    ]);
    expect(told).toHaveLength(4);
  });

  it("are none of a limit of 0, and of what has no limit", async () => {
    const { told, use } = await notifying({ limits: { oci: { apiRequests: 0, egressBytes: 5 } } });
    await use(1_000_000);
    await use(1_000_000, "unlimited");
    expect(told).toEqual([]);
  });

  it("may differ by backend, where a function returns them", async () => {
    const thresholds = vi.fn((backend: string) =>
      backend === "oci" ? [0.9] : backend === "b2" ? [0.1, 0.2] : undefined,
    );
    const limits = () => ({ apiRequests: 100 });
    const { told, use } = await notifying({ limits, thresholds });
    for (const backend of ["oci", "b2", "none"]) await use(89, backend);
    expect(namesOf(told)).toEqual(["b2 0.1 of 100", "b2 0.2 of 100"]);
    await use(1);
    expect(namesOf(told).slice(2)).toEqual(["oci 0.9 of 100"]);
    expect(thresholds).toHaveBeenCalledWith("oci", undefined);
  });

  it("of one backend that are wrong, or whose function throws, hold up no other, and are reported", async () => {
    const thresholds = (backend: string): readonly number[] => {
      if (backend === "throws") throw new Error("no plan");
      return backend === "wrong" ? [80] : [0.5];
    };
    const { told, failures, use } = await notifying({ thresholds, limits: () => ({ apiRequests: 100 }) });
    await use(50, "throws");
    await use(50, "wrong");
    await use(50);
    expect(namesOf(told)).toEqual(["oci 0.5 of 100"]);
    const messages = failures.map(({ error }) => (error as Error).message);
    expect(messages).toContain("no plan");
    expect(messages).toContainEqual(expect.stringContaining("0.8 for 80 % of it, got 80"));
  });

  it("begin anew for a limit that changes, raised or lowered, and are not told again where it comes back", async () => {
    const { tracker, told, use } = await notifying();
    const limited = async (apiRequests: number): Promise<readonly string[]> => {
      told.length = 0;
      tracker.setLimits("oci", { apiRequests });
      await settled();
      return namesOf(told);
    };
    await use(80);
    expect(namesOf(told)).toEqual(["oci 0.5 of 100", "oci 0.8 of 100"]);
    expect(await limited(160)).toEqual(["oci 0.5 of 160"]);
    expect(await limited(40)).toEqual(["oci 0.5 of 40", "oci 0.8 of 40", "oci 1 of 40"]);
    expect(await limited(100)).toEqual([]);
    expect(await limited(160)).toEqual([]);
    told.length = 0;
    tracker.updateLimits({ oci: { apiRequests: 81 } });
    await settled();
    expect(namesOf(told)).toEqual(["oci 0.5 of 81", "oci 0.8 of 81"]);
    await use(1);
    expect(namesOf(told)[2]).toEqual("oci 1 of 81");
  });

  it("begin anew with the period; what is stored late of the one before is told as of that", async () => {
    const clock = new ManualClock("2026-01-31T23:59:50Z");
    const { tracker, told, use } = await notifying({ clock });
    await use(50);
    tracker.record("oci", { apiRequests: 30 });
    clock.advance(20_000);
    tracker.record("oci", { apiRequests: 1 });
    await tracker.flush();
    await settled();
    expect(told.map(({ period, threshold }) => [period, threshold])).toEqual([
      ["2026-01", 0.5],
      ["2026-01", 0.8],
    ]);
    await use(49);
    expect(told.at(-1)).toMatchObject({ period: "2026-02", threshold: 0.5, usage: 50 });
    expect(new Set(told.map(({ id }) => id)).size).toBe(3);
  });

  it("are told of what was reached before it started, of what was brought in, and of what others stored", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const store = memoryStore({ clock });
    const put = (backend: string, apiRequests: number) =>
      store.merge([{ writer: "another", period: "2026-01", backend, usage: { apiRequests } }]);
    await put("oci", 50);
    await put("late", 80);
    const limits = () => ({ apiRequests: 100 });
    const { tracker, told } = await notifying({ clock, store, limits });
    await settled();
    expect(namesOf(told)).toEqual(["oci 0.5 of 100"]);
    await tracker.ensure("late");
    await settled();
    expect(namesOf(told).slice(1)).toEqual(["late 0.5 of 100", "late 0.8 of 100"]);
    await tracker.refresh();
    await put("oci", 100);
    // Nobody has brought it in here: whoever stored it may have died before it looked.
    await put("unheld", 50);
    await tracker.refresh();
    await settled();
    expect(namesOf(told).slice(3).sort()).toEqual(["oci 0.8 of 100", "oci 1 of 100", "unheld 0.5 of 100"]);
  });

  it("are found once the store can be asked again, though nothing is counted and nothing flushed any more", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const memory = memoryStore({ clock });
    const state = { isDown: false };
    const unless = <T>(work: () => Promise<T>): Promise<T> =>
      state.isDown ? Promise.reject(new Error("down")) : work();
    const store: UsageStore = {
      ...memory,
      claim: (marks) => unless(async () => (await memory.claim?.(marks)) ?? []),
    };
    const { told, failures, use, pass } = await notifying({ clock, store });
    state.isDown = true;
    await use(85);
    await pass(60_000);
    expect(told).toEqual([]);
    expect(failures).toContainEqual({ error: new Error("down") });
    state.isDown = false;
    await pass(20_000);
    expect(namesOf(told)).toEqual(["oci 0.5 of 100", "oci 0.8 of 100"]);
  });

  it("are told again under the same ids once all is read anew of a store that lost the marks alone", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const memory = memoryStore({ clock });
    let marks = memoryStore({ clock });
    const store: UsageStore = {
      ...memory,
      claim: async (claimed) => (await marks.claim?.(claimed)) ?? [],
      notices: async (channel, query) => (await marks.notices?.(channel, query)) ?? [],
      acknowledge: async (notices) => marks.acknowledge?.(notices),
    };
    const { tracker, told, use, pass } = await notifying({ clock, store });
    await use(50);
    // As a replica that had the usage and not yet the claim.
    marks = memoryStore({ clock });
    await use(1);
    expect(told).toHaveLength(1);
    await pass(600_000);
    await tracker.refresh();
    await settled();
    expect(told).toHaveLength(2);
    expect(told[1]?.id).toBe(told[0]?.id);
  });

  it("are found in the last flush, and told by whoever starts next", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const store = memoryStore({ clock });
    const first = await notifying({ clock, store });
    await settled();
    first.tracker.record("oci", { apiRequests: 50 });
    await first.tracker.flush();
    await first.notifier.stop();
    expect(first.told).toEqual([]);
    await first.pass(60_000);
    expect(first.told).toEqual([]);
    // It would not find it by itself.
    const second = await notifying({ clock, store, limits: {} });
    await settled();
    expect(namesOf(second.told)).toEqual(["oci 0.5 of 100"]);
  });
});

describe("several instances", () => {
  it("tell of each crossing once where nothing fails, whoever finds it and however often", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const store = memoryStore({ clock });
    const fleet = await Promise.all(Array.from({ length: 5 }, () => notifying({ clock, store })));
    for (let round = 0; round < 10; round++) {
      await Promise.all(fleet.map(({ use }) => use(2)));
      for (const { pass } of fleet) await pass(60_000);
    }
    // What several stored at once, each learns with its next flush.
    for (const { tracker } of fleet) await tracker.refresh();
    await settled();
    const told = fleet.flatMap((instance) => instance.told);
    expect(namesOf(told)).toEqual(expect.arrayContaining(["oci 0.5 of 100", "oci 0.8 of 100", "oci 1 of 100"]));
    expect(told).toHaveLength(3);
    expect(fleet.flatMap(({ failures }) => failures)).toEqual([]);
  });

  it("deliver each channel by itself: what one receiver does not take is not sent to another one again", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const store = memoryStore({ clock });
    const dead = await notifying({
      clock,
      store,
      channel: "dead",
      onThreshold: () => Promise.reject(new Error("500")),
    });
    const alive = await notifying({ clock, store, channel: "alive" });
    await dead.use(50);
    await alive.tracker.refresh();
    await alive.pass(3_600_000);
    expect(namesOf(alive.told)).toEqual(["oci 0.5 of 100"]);
    expect(dead.failures.length).toBeGreaterThan(5);
    expect(new Set(dead.failures.map(({ event }) => event?.id))).toEqual(new Set([alive.told[0]?.id]));
  });
});

describe("a delivery", () => {
  it("is tried again after pauses that double from 30 s to an hour, under the same id, until it succeeds", async () => {
    let isUp = false;
    const attempts: { readonly event: ThresholdEvent; readonly attempt: number; readonly atMs: number }[] = [];
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const { use, pass, failures } = await notifying({
      clock,
      onThreshold(event, { attempt }) {
        attempts.push({ event, attempt, atMs: clock.now() });
        if (!isUp) throw new Error("away");
      },
    });
    await use(50);
    await pass(6 * 3_600_000);
    expect(attempts.map(({ attempt }) => attempt)).toEqual(attempts.map((_, index) => index + 1));
    const pauses = attempts.slice(1).map(({ atMs }, index) => atMs - (attempts[index]?.atMs ?? 0));
    // It is looked for every ten seconds.
    expect(pauses.length).toBeGreaterThanOrEqual(10);
    const expected = [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600];
    expect(pauses.slice(0, 10).map((ms, index) => ms - (expected[index] ?? 0) * 1_000)).toSatisfy((late: number[]) =>
      late.every((ms) => ms >= 0 && ms <= 10_000),
    );
    expect(failures[0]).toMatchObject({ attempt: 1, event: attempts[0]?.event, error: new Error("away") });
    isUp = true;
    await pass(2 * 3_600_000);
    const { length } = attempts;
    await pass(24 * 3_600_000);
    expect(attempts).toHaveLength(length);
    expect(new Set(attempts.map(({ event }) => JSON.stringify(event))).size).toBe(1);
  });

  it("that hangs is given up, its signal is aborted, and it is tried again; others are told meanwhile", async () => {
    const signals: AbortSignal[] = [];
    const told: string[] = [];
    const { use, pass, failures } = await notifying({
      limits: () => ({ apiRequests: 100 }),
      onThreshold({ backend }, { signal }) {
        if (backend !== "oci") return void told.push(backend);
        signals.push(signal);
        return new Promise(() => {});
      },
    });
    await use(50);
    await use(50, "b2");
    expect(told).toEqual(["b2"]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    await pass(10_000);
    expect(failures.map(({ error }) => error)).toEqual([expect.any(DeliveryTimeoutError)]);
    expect(signals[0]?.reason).toBeInstanceOf(DeliveryTimeoutError);
    await pass(40_000);
    expect(signals).toHaveLength(2);
  });

  it("ends before stop does, or times out; nothing is begun afterwards", async () => {
    const hung = Promise.withResolvers<void>();
    let begun = 0;
    const { use, notifier, clock, pass } = await notifying({
      onThreshold() {
        begun += 1;
        return hung.promise;
      },
    });
    await use(50);
    const stopping = notifier.stop();
    expect(await Promise.race([stopping, settled().then(() => "waits")])).toBe("waits");
    clock.advance(10_000);
    await stopping;
    await pass(3_600_000);
    expect(begun).toBe(1);
    notifier.start();
    hung.resolve();
    await pass(10_000);
    expect(begun).toBe(2);
  });

  it("of which the store does not hear is repeated", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const memory = memoryStore({ clock });
    let isDown = true;
    const acknowledge: UsageStore["acknowledge"] = async (notices) => {
      if (isDown) throw new Error("store away");
      await memory.acknowledge?.(notices);
    };
    const { use, pass, told, failures } = await notifying({ clock, store: { ...memory, acknowledge } });
    await use(50);
    expect(failures).toMatchObject([{ error: new Error("store away"), attempt: 1 }]);
    isDown = false;
    await pass(120_000);
    expect(namesOf(told)).toEqual(["oci 0.5 of 100", "oci 0.5 of 100"]);
  });
});
