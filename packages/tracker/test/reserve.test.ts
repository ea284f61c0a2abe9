import { AmountError, LocalCounterBackend, memoryStore, type Standing, UnknownBackendError } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { tracked } from "./support/tracked.ts";
import { turn } from "./support/turn.ts";

const limits = { oci: { apiRequests: 10 } };

describe("tryReserve", () => {
  it("keeps free what work may use, and tells of a refusal and why", () => {
    const { tracker } = tracked({ limits });
    const refused: unknown[] = [];
    using _listening = tracker.onLimit(
      ({ backend, exceeded, reason }) => void refused.push([backend, exceeded, reason]),
    );
    const hold = tracker.tryReserve("oci", { apiRequests: 8 });
    expect(tracker.tryReserve("oci", { apiRequests: 3 })).toBeUndefined();
    expect(tracker.tryRecord("oci", { apiRequests: 3 })).toBe(false);
    expect(tracker.withinLimits("oci", { apiRequests: 11 })).toBe(false);
    hold?.settle({ apiRequests: 8 });
    expect(tracker.withinLimits("oci", { apiRequests: 3 })).toBe(false);
    expect(refused).toEqual([
      ["oci", ["apiRequests"], "held"],
      ["oci", ["apiRequests"], "held"],
      ["oci", ["apiRequests"], "limit"],
      ["oci", ["apiRequests"], "limit"],
    ]);
  });
});

describe("a decision", () => {
  it("tells what is held, what is left beside it, and when to ask again", () => {
    const { tracker, clock } = tracked({ limits: { oci: { apiRequests: 10, egressBytes: 0 } } });
    tracker.record("oci", { apiRequests: 1 });
    tracker.tryReserve("oci", { apiRequests: 7, ingressBytes: 5 });
    expect(tracker.check("oci", { apiRequests: 2 })).toMatchObject({
      allowed: true,
      held: { apiRequests: 7, egressBytes: 0, ingressBytes: 5 },
      usage: { apiRequests: 1, egressBytes: 0, ingressBytes: 0 },
      remaining: { apiRequests: 2, egressBytes: 0 },
    });
    expect(tracker.check("oci", { apiRequests: 2 })).not.toHaveProperty("reason");
    expect(tracker.check("oci", { apiRequests: 3 })).toMatchObject({
      allowed: false,
      exceeded: ["apiRequests"],
      reason: "held",
      retryAfterMs: 1_000,
    });
    expect(tracker.check("oci", { apiRequests: 10 })).toMatchObject({
      reason: "limit",
      retryAfterMs: Date.UTC(2026, 1) - clock.now(),
    });
    const closed = tracker.check("oci", { egressBytes: 1 });
    expect(closed).toMatchObject({ allowed: false, exceeded: ["egressBytes"], reason: "limit" });
    expect(closed).not.toHaveProperty("retryAfterMs");
  });
});

/** Others have a part in its limits. */
class SharingCounter extends LocalCounterBackend {
  share: Standing = { mode: "approximate" };

  override standing(): Standing {
    return this.share;
  }
}

describe("what a decision is worth", () => {
  it("is told by how much a limit may be passed: by what was settled above its hold, and by what was written off", () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const counter = new SharingCounter(["oci"], { clock });
    const options = { clock, store: memoryStore(), limits: { oci: { apiRequests: 10, egressBytes: 100 } } };
    const tracker = new UsageTracker(counter, options);
    counter.share = { mode: "exact", asOf: 5 };
    const hold = tracker.tryReserve("oci", { apiRequests: 8, egressBytes: 5, ingressBytes: 1 });
    expect(tracker.check("oci", {})).toMatchObject({ maxOvershoot: { apiRequests: 0, egressBytes: 0 }, asOf: 5 });
    hold?.settle({ apiRequests: 9, egressBytes: 5, ingressBytes: 7 });
    expect(tracker.check("oci", {}).maxOvershoot).toEqual({ apiRequests: 1, egressBytes: 0 });
    counter.share = { mode: "exact", forgiven: { apiRequests: 3, egressBytes: 20, ingressBytes: 9 } };
    expect(tracker.check("oci", {}).maxOvershoot).toEqual({ apiRequests: 4, egressBytes: 20 });
    clock.set("2026-02-01T00:00:00Z");
    clock.advance(1_000);
    counter.share = { mode: "exact" };
    expect(tracker.check("oci", {}).maxOvershoot).toEqual({ apiRequests: 0, egressBytes: 0 });
  });

  it("is not told where others use the limit meanwhile, but when they were last heard of", () => {
    const counter = new SharingCounter(["oci"]);
    const tracker = new UsageTracker(counter, { store: memoryStore(), limits });
    expect(tracker.check("oci", {})).not.toHaveProperty("asOf");
    counter.share = { mode: "approximate", asOf: 7 };
    expect(tracker.check("oci", {})).toMatchObject({ mode: "approximate", asOf: 7 });
    expect(tracker.check("oci", {})).not.toHaveProperty("maxOvershoot");
  });
});

describe("reserve", () => {
  it("holds at once where there is room, and does not wait where waiting cannot help", async () => {
    const { tracker, clock } = tracked({ limits });
    const hold = await tracker.reserve("oci", { apiRequests: 8 });
    expect(hold?.usage.apiRequests).toBe(8);
    const timers = clock.pending;
    expect(await tracker.reserve("oci", { apiRequests: 3 })).toBeUndefined();
    expect(await tracker.reserve("oci", { apiRequests: 11 }, { waitMs: 1_000 })).toBeUndefined();
    hold?.settle();
    expect(await tracker.reserve("oci", { apiRequests: 3 }, { waitMs: 1_000 })).toBeUndefined();
    expect(clock.pending).toBe(timers);
  });

  it("waits for what other work gives back, who came first first, each backend by itself", async () => {
    const { tracker, counter } = tracked({ limits: { oci: { apiRequests: 10 }, b2: { apiRequests: 1 } } });
    const [first, other] = [
      tracker.tryReserve("oci", { apiRequests: 10 }),
      tracker.tryReserve("b2", { apiRequests: 1 }),
    ];
    const got: number[] = [];
    const waiting = [4, 5, 2].map(async (apiRequests) => {
      const hold = await tracker.reserve("oci", { apiRequests }, { waitMs: 1_000 });
      got.push(apiRequests);
      return hold;
    });
    await turn(2);
    other?.void();
    await turn(2);
    expect(got).toEqual([]);
    first?.settle({ apiRequests: 0 });
    await turn(2);
    expect(got).toEqual([4, 5]);
    expect(counter.heldAll("oci").apiRequests).toBe(9);
    (await waiting[0])?.settle({ apiRequests: 1 });
    await waiting[2];
    expect(got).toEqual([4, 5, 2]);
  });

  it("gives up after its time, or when it is told to, and is given nothing after that", async () => {
    const { tracker, counter, clock } = tracked({ limits });
    const hold = tracker.tryReserve("oci", { apiRequests: 10 });
    const late = tracker.reserve("oci", { apiRequests: 1 }, { waitMs: 500 });
    const controller = new AbortController();
    const aborted = tracker.reserve("oci", { apiRequests: 1 }, { waitMs: 1_000, signal: controller.signal });
    await turn(2);
    clock.advance(500);
    controller.abort(new Error("gone"));
    hold?.void();
    expect(await late).toBeUndefined();
    await expect(aborted).rejects.toThrow("gone");
    expect(counter.heldAll("oci").apiRequests).toBe(0);
    await expect(tracker.reserve("oci", {}, { signal: controller.signal })).rejects.toThrow("gone");
  });

  it.each([
    ["a limit is raised", ({ tracker }: ReturnType<typeof tracked>) => tracker.setLimits("oci", { apiRequests: 20 })],
    [
      "a month begins",
      ({ clock }: ReturnType<typeof tracked>) => {
        clock.set("2026-02-01T00:00:00Z");
        clock.advance(1_000);
      },
    ],
    ["a hold expires", ({ clock }: ReturnType<typeof tracked>) => clock.advance(12_000)],
  ])("goes on when %s", async (_, happen) => {
    const all = tracked({ limits });
    all.tracker.tryReserve("oci", { apiRequests: 10 }, { ttlMs: 10_000 });
    const waiting = all.tracker.reserve("oci", { apiRequests: 5 }, { waitMs: 60_000 });
    await turn(2);
    happen(all);
    expect((await waiting)?.usage.apiRequests).toBe(5);
  });

  it("ends its wait once what was used leaves no room, and lets who came later have the rest", async () => {
    const { tracker } = tracked({ limits });
    const hold = tracker.tryReserve("oci", { apiRequests: 9 });
    const large = tracker.reserve("oci", { apiRequests: 4 }, { waitMs: 60_000 });
    const small = tracker.reserve("oci", { apiRequests: 2 }, { waitMs: 60_000 });
    await turn(2);
    hold?.settle({ apiRequests: 7 });
    expect(await large).toBeUndefined();
    expect((await small)?.usage.apiRequests).toBe(2);
  });

  it("refuses what is wrong before it holds or waits", async () => {
    const { tracker, clock } = tracked({ store: memoryStore(), limits });
    const timers = clock.pending;
    for (const waitMs of [-1, Number.NaN, 2 ** 31]) {
      await expect(tracker.reserve("oci", {}, { waitMs })).rejects.toThrow(
        new RangeError(`waitMs must be from 0 to 2^31-1 ms, got ${waitMs}`),
      );
    }
    const ttlMs = Number.NaN;
    const wrong = new RangeError("ttlMs must be from 1 to 2^31-1 ms, got NaN");
    await expect(tracker.reserve("oci", {}, { ttlMs })).rejects.toThrow(wrong);
    expect(() => tracker.tryReserve("oci", {}, { ttlMs })).toThrow(wrong);
    await expect(tracker.reserve("gone", {}, { waitMs: 5 })).rejects.toThrow(UnknownBackendError);
    await expect(tracker.reserve("oci", {}, { ttlMs: 0, waitMs: 5 })).rejects.toThrow(RangeError);
    await expect(tracker.reserve("oci", { apiRequests: -1 }, { waitMs: 5 })).rejects.toThrow(AmountError);
    expect(clock.pending).toBe(timers);
  });
});

describe("extend", () => {
  function twoHolds() {
    const all = tracked({ limits });
    const [hold, other] = [4, 6].map((apiRequests) => all.tracker.tryReserve("oci", { apiRequests }));
    if (hold === undefined || other === undefined) throw new Error("there is no room for them");
    return { ...all, hold, other };
  }

  it("keeps more free at once where there is room, else once there is, and does not wait in vain", async () => {
    const { tracker, clock, hold, other } = twoHolds();
    const timers = clock.pending;
    expect(await tracker.extend(hold, { apiRequests: 1 })).toBe(false);
    expect(await tracker.extend(hold, { apiRequests: 11 }, { waitMs: 1_000 })).toBe(false);
    expect(clock.pending).toBe(timers);
    const waiting = tracker.extend(hold, { apiRequests: 3 }, { waitMs: 1_000 });
    await turn(2);
    other.settle({ apiRequests: 2 });
    expect(await waiting).toBe(true);
    expect(hold.usage.apiRequests).toBe(7);
    expect(await tracker.extend(hold, { apiRequests: 1 }, { waitMs: 1_000 })).toBe(true);
    expect(hold.extend({ apiRequests: 1 })).toBe(false);
  });

  it("keeps nothing more free once the hold has ended, its time is up or it is told to stop", async () => {
    const { tracker, clock, hold, other } = twoHolds();
    const controller = new AbortController();
    const late = tracker.extend(hold, { apiRequests: 1 }, { waitMs: 500 });
    const aborted = tracker.extend(hold, { apiRequests: 1 }, { waitMs: 1_000, signal: controller.signal });
    await turn(2);
    clock.advance(500);
    controller.abort(new Error("gone"));
    expect(await late).toBe(false);
    await expect(aborted).rejects.toThrow("gone");
    const ended = tracker.extend(hold, { apiRequests: 1 }, { waitMs: 1_000 });
    await turn(2);
    hold.void();
    expect(await ended).toBe(false);
    expect(await tracker.extend(hold, { apiRequests: 1 }, { waitMs: 1_000 })).toBe(false);
    other.void();
    expect(tracker.counter.heldAll("oci").apiRequests).toBe(0);
  });

  it("waits for nothing in a month that is over", async () => {
    const { tracker, clock, hold } = twoHolds();
    clock.set("2026-02-01T00:00:00Z");
    clock.advance(1_000);
    expect(await tracker.extend(hold, { apiRequests: 1 }, { waitMs: 60_000 })).toBe(false);
  });
});
