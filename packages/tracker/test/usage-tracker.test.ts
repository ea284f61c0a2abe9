import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  AmountError,
  LocalCounterBackend,
  NameError,
  type StorageDimension,
  UnknownBackendError,
  UnknownDimensionError,
  type Usage,
} from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { type LimitExceededMessage, type LimitsByBackend, UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";

const MAX = Number.MAX_SAFE_INTEGER;

function tracked(limits: LimitsByBackend<StorageDimension> = {}, backends: readonly string[] = ["oci", "b2"]) {
  const clock = new ManualClock("2026-01-15T00:00:00Z");
  const counter = new LocalCounterBackend(backends, { clock });
  return { clock, counter, tracker: new UsageTracker(counter, { limits }) };
}

describe("withinLimits", () => {
  it("allows up to the limit and not one more, in every limited dimension", () => {
    const { tracker } = tracked({ oci: { apiRequests: 10, egressBytes: 100 } });
    tracker.record("oci", { apiRequests: 9, egressBytes: 60, ingressBytes: 1_000_000 });
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(true);
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    expect(tracker.withinLimits("oci", { apiRequests: 1, egressBytes: 40 })).toBe(true);
    expect(tracker.withinLimits("oci", { apiRequests: 1, egressBytes: 41 })).toBe(false);
    expect(tracker.withinLimits("oci", {})).toBe(true);
  });

  it("counts the baseline in: effective usage is baseline, unflushed and proposed", () => {
    const { tracker } = tracked({ oci: { apiRequests: 10 } });
    tracker.setBaseline("oci", { apiRequests: 7, egressBytes: 0, ingressBytes: 0 });
    tracker.record("oci", { apiRequests: 2 });
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(true);
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    expect(() => tracker.resetBaselines(["oci", "gone"])).toThrow(UnknownBackendError);
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    tracker.resetBaselines(["oci"]);
    expect(tracker.withinLimits("oci", { apiRequests: 8 })).toBe(true);
  });

  it("takes absent and undefined limits as unlimited", () => {
    const unlimited = { egressBytes: undefined } as unknown as Partial<Usage>;
    const { tracker } = tracked({ oci: unlimited });
    tracker.record("oci", { apiRequests: MAX - 1 });
    expect(tracker.withinLimits("oci", { apiRequests: MAX, egressBytes: MAX })).toBe(true);
    expect(tracker.withinLimits("b2", { apiRequests: MAX })).toBe(true);
    expect(tracker.check("oci", {})).toMatchObject({ limits: {}, remaining: {} });
    expect(tracker.limits()).toEqual(new Map([["oci", {}]]));
  });

  it("lets nothing be used where the limit is 0", () => {
    const { tracker } = tracked({ oci: { apiRequests: 0 }, r2: { egressBytes: 0 } }, ["oci", "r2"]);
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(false);
    expect(tracker.withinLimits("oci", { egressBytes: 5 })).toBe(true);
    expect(tracker.backendsWithinLimits(["oci", "r2"], { apiRequests: 1 })).toEqual(["r2"]);
    expect(tracker.backendsWithinLimits(["oci", "r2"], { apiRequests: 1, egressBytes: 1 })).toEqual([]);
    expect(tracker.check("oci", { apiRequests: 1 })).toMatchObject({
      allowed: false,
      exceeded: ["apiRequests"],
      limits: { apiRequests: 0 },
      remaining: { apiRequests: 0 },
    });
    expect(tracker.limits().get("oci")).toEqual({ apiRequests: 0 });
    // Used before the limit was set, say: it stays used.
    tracker.record("oci", { apiRequests: 3 });
    expect(tracker.check("oci", {})).toMatchObject({ allowed: false, remaining: { apiRequests: 0 } });
    tracker.updateLimits({ oci: {} });
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(true);
  });

  it("tells a limit of 0 from an absent one also in dimensions that every object seems to have", () => {
    const counter = new LocalCounterBackend(["llm"], { dimensions: ["constructor", "tokens"] });
    const none = new UsageTracker(counter, { limits: { llm: { tokens: 5 } as never } });
    expect(none.check("llm", { constructor: 1 } as never)).toMatchObject({ allowed: true, limits: { tokens: 5 } });
    const zero = new UsageTracker(counter, { limits: { llm: Object.assign(Object.create(null), { constructor: 0 }) } });
    expect(zero.withinLimits("llm", { constructor: 1 } as never)).toBe(false);
    expect(zero.withinLimits("llm", { tokens: 1 } as never)).toBe(true);
  });

  it("is exact at the largest amounts", () => {
    const { tracker } = tracked({ oci: { apiRequests: MAX } });
    tracker.record("oci", { apiRequests: MAX - 1 });
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(true);
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    expect(tracker.withinLimits("oci", { apiRequests: MAX })).toBe(false);
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, MAX + 1, 5n, "1", null])(
    "refuses the proposal %s with an error instead of an answer, limited or not",
    (bad) => {
      const { tracker } = tracked({ oci: { apiRequests: 10 } });
      for (const backend of ["oci", "b2"]) {
        const proposed = { apiRequests: bad as number };
        expect(() => tracker.withinLimits(backend, proposed)).toThrow(AmountError);
        expect(() => tracker.check(backend, proposed)).toThrow(AmountError);
        expect(() => tracker.backendsWithinLimits([backend], proposed)).toThrow(AmountError);
        expect(() => tracker.record(backend, proposed)).toThrow(AmountError);
      }
    },
  );

  it("refuses unknown backends and dimensions, also where there are no limits", () => {
    const { tracker } = tracked();
    const unknown = { tokens: 1 } as Partial<Usage>;
    expect(() => tracker.withinLimits("gone", {})).toThrow(UnknownBackendError);
    expect(() => tracker.check("gone", {})).toThrow(UnknownBackendError);
    expect(() => tracker.record("gone", {})).toThrow(UnknownBackendError);
    expect(() => tracker.backendsWithinLimits(["oci", "gone"], {})).toThrow(UnknownBackendError);
    expect(() => tracker.withinLimits("oci", unknown)).toThrow(UnknownDimensionError);
    expect(() => tracker.setBaseline("gone", { apiRequests: 0, egressBytes: 0, ingressBytes: 0 })).toThrow(
      UnknownBackendError,
    );
  });

  it("begins anew with each period", () => {
    const { tracker, clock } = tracked({ oci: { apiRequests: 1 } });
    tracker.record("oci", { apiRequests: 1 });
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(false);
    clock.advance(17 * 86_400_000);
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(true);
  });
});

describe("backendsWithinLimits", () => {
  it("keeps the order that it was given", () => {
    const { tracker } = tracked({ b2: { apiRequests: 1 } }, ["oci", "b2", "r2"]);
    expect(tracker.backendsWithinLimits(["r2", "b2", "oci"], { apiRequests: 1 })).toEqual(["r2", "b2", "oci"]);
    tracker.record("b2", { apiRequests: 1 });
    expect(tracker.backendsWithinLimits(["r2", "b2", "oci"], { apiRequests: 1 })).toEqual(["r2", "oci"]);
    expect(tracker.backendsWithinLimits([], { apiRequests: 1 })).toEqual([]);
  });
});

describe("check", () => {
  it("gives its reasons", () => {
    const { tracker } = tracked({ oci: { apiRequests: 10, egressBytes: 100 } });
    tracker.record("oci", { apiRequests: 10, egressBytes: 30, ingressBytes: 5 });
    expect(tracker.check("oci", { apiRequests: 1, egressBytes: 70 })).toEqual({
      backend: "oci",
      allowed: false,
      exceeded: ["apiRequests"],
      remaining: { apiRequests: 0, egressBytes: 70 },
      usage: { apiRequests: 10, egressBytes: 30, ingressBytes: 5 },
      limits: { apiRequests: 10, egressBytes: 100 },
      period: { key: "2026-01", start: Date.UTC(2026, 0), end: Date.UTC(2026, 1) },
    });
    expect(tracker.check("oci", { egressBytes: 71 }).exceeded).toEqual(["egressBytes"]);
  });

  it("never answers less than nothing as remaining", () => {
    const { tracker } = tracked({ oci: { egressBytes: 100 } });
    tracker.record("oci", { egressBytes: 250 });
    expect(tracker.check("oci", {})).toMatchObject({ allowed: false, remaining: { egressBytes: 0 } });
  });
});

describe("nearLimit", () => {
  it("is true once any limited dimension of any backend is at the ratio", () => {
    const { tracker } = tracked({ b2: { egressBytes: 100 }, gone: { apiRequests: 1 } });
    tracker.record("oci", { apiRequests: 1_000_000 });
    tracker.record("b2", { egressBytes: 79 });
    expect(tracker.nearLimit(0.8)).toBe(false);
    tracker.record("b2", { egressBytes: 1 });
    expect(tracker.nearLimit(0.8)).toBe(true);
    expect(tracker.nearLimit(0.81)).toBe(false);
  });

  it("is not true by a limit of 0, which no flush can help", () => {
    const { tracker } = tracked({ oci: { apiRequests: 0 }, b2: { egressBytes: 100 } });
    expect(tracker.nearLimit(0.8)).toBe(false);
    tracker.record("oci", { apiRequests: 1 });
    expect(tracker.nearLimit(0.8)).toBe(false);
    tracker.record("b2", { egressBytes: 90 });
    expect(tracker.nearLimit(0.8)).toBe(true);
  });

  it.each([0, -1, Number.NaN])("refuses the ratio %s", (ratio) => {
    expect(() => tracked().tracker.nearLimit(ratio)).toThrow(RangeError);
  });
});

describe("limits", () => {
  it("are replaced as a whole, and copied in and out", () => {
    const given = new Map([["oci", { apiRequests: 1 }]]);
    const { tracker } = tracked(given);
    given.set("oci", { apiRequests: 100 });
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    const out = tracker.limits();
    out.set("b2", { apiRequests: 1 });
    Object.assign(out.get("oci") ?? {}, { apiRequests: 100 });
    expect(tracker.limits()).toEqual(new Map([["oci", { apiRequests: 1 }]]));
    tracker.updateLimits({ b2: { egressBytes: 5 } });
    expect(tracker.limits()).toEqual(new Map([["b2", { egressBytes: 5 }]]));
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(true);
  });

  it("of backends that nobody counts yet are kept, and hold once they are added", () => {
    const { tracker, counter } = tracked({ r2: { apiRequests: 1 } });
    counter.addBackends(["r2"]);
    expect(tracker.withinLimits("r2", { apiRequests: 2 })).toBe(false);
  });

  it.each([
    ["negative", { oci: { apiRequests: -1 } }, AmountError],
    ["fractional", { oci: { apiRequests: 1.5 } }, AmountError],
    ["NaN", { oci: { apiRequests: Number.NaN } }, AmountError],
    ["text", { oci: { apiRequests: "5" } }, AmountError],
    ["null", { oci: { apiRequests: null } }, AmountError],
    ["a number for all dimensions", { oci: 5 }, TypeError],
    ["a list", { oci: [5] }, TypeError],
    ["a Map within the object", { oci: new Map([["apiRequests", 5]]) }, TypeError],
    ["nothing", { oci: null }, TypeError],
    ["of an unknown dimension", { oci: { tokens: 1 } }, UnknownDimensionError],
    ["of a backend without a name", { "": { apiRequests: 1 } }, NameError],
  ])("that are %s are refused, and the old ones stay", (_, limits, error) => {
    const wrong = { b2: { apiRequests: 5 }, ...limits } as unknown as LimitsByBackend<StorageDimension>;
    const { tracker } = tracked({ oci: { apiRequests: 1 } });
    expect(() => tracker.updateLimits(wrong)).toThrow(error);
    expect(() => new UsageTracker(tracker.backend, { limits: wrong })).toThrow(error);
    expect(tracker.limits()).toEqual(new Map([["oci", { apiRequests: 1 }]]));
  });

  it.each([null, 5, [], "oci"])("that are %j altogether are refused", (limits) => {
    const wrong = limits as unknown as LimitsByBackend<StorageDimension>;
    expect(() => tracked().tracker.updateLimits(wrong)).toThrow(/limits must be an object or a Map/);
  });

  it("are read from getters, as usage is", () => {
    class Plan {
      get apiRequests(): number {
        return 1;
      }
    }
    const { tracker } = tracked({ oci: new Plan() });
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    expect(tracker.limits().get("oci")).toEqual({ apiRequests: 1 });
  });

  it("work for any dimensions", () => {
    const dimensions = ["requests", "inputTokens", "outputTokens", "cachedTokens", "images", "seconds"] as const;
    const counter = new LocalCounterBackend(["llm"], { dimensions });
    const tracker = new UsageTracker(counter, { limits: { llm: { seconds: 10 } } });
    tracker.record("llm", { inputTokens: 5, seconds: 9 });
    expect(tracker.withinLimits("llm", { seconds: 1, images: 3 })).toBe(true);
    expect(tracker.check("llm", { seconds: 2 }).exceeded).toEqual(["seconds"]);
  });
});

describe("the channel usage:limit-exceeded", () => {
  it("tells of every refusal while somebody listens", () => {
    const { tracker } = tracked({ oci: { apiRequests: 1, egressBytes: 1 } });
    const messages: unknown[] = [];
    // A listener may ask the tracker back.
    const listener = (message: unknown): void => {
      messages.push(message);
      tracker.withinLimits("b2", { apiRequests: 999 });
    };
    subscribe("usage:limit-exceeded", listener);
    try {
      expect(tracker.backendsWithinLimits(["oci", "b2"], { apiRequests: 2, ingressBytes: 1 })).toEqual(["b2"]);
    } finally {
      unsubscribe("usage:limit-exceeded", listener);
    }
    tracker.withinLimits("oci", { apiRequests: 2 });
    const expected: LimitExceededMessage = { backend: "oci", exceeded: ["apiRequests"], period: "2026-01" };
    expect(messages).toEqual([expected]);
  });
});
