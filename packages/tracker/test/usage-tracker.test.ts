import {
  AmountError,
  LocalCounterBackend,
  memoryStore,
  UnknownBackendError,
  UnknownDimensionError,
  type Usage,
} from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { tracked } from "./support/tracked.ts";

const MAX = Number.MAX_SAFE_INTEGER;

describe("withinLimits", () => {
  it("allows up to the limit and not one more, in every limited dimension", () => {
    const { tracker } = tracked({ limits: { oci: { apiRequests: 10, egressBytes: 100 } } });
    tracker.record("oci", { apiRequests: 9, egressBytes: 60, ingressBytes: 1_000_000 });
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(true);
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    expect(tracker.withinLimits("oci", { apiRequests: 1, egressBytes: 40 })).toBe(true);
    expect(tracker.withinLimits("oci", { apiRequests: 1, egressBytes: 41 })).toBe(false);
    expect(tracker.withinLimits("oci", {})).toBe(true);
  });

  it("counts the baseline in: effective usage is baseline, unstored and proposed", () => {
    const { tracker } = tracked({ limits: { oci: { apiRequests: 10 } } });
    tracker.setBaseline("oci", { apiRequests: 7, egressBytes: 0, ingressBytes: 0 });
    tracker.record("oci", { apiRequests: 2 });
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(true);
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    expect(() => tracker.resetBaselines(["oci", "gone"])).toThrow(UnknownBackendError);
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    tracker.resetBaselines(["oci"]);
    expect(tracker.withinLimits("oci", { apiRequests: 8 })).toBe(true);
  });

  it("takes absent and undefined limits as unlimited, and 0 as nothing may be used", () => {
    const unlimited = { egressBytes: undefined, ingressBytes: 0 } as unknown as Partial<Usage>;
    const { tracker } = tracked({ limits: { oci: unlimited } });
    tracker.record("oci", { apiRequests: MAX - 5 });
    expect(tracker.withinLimits("oci", { apiRequests: 5, egressBytes: MAX })).toBe(true);
    expect(tracker.withinLimits("b2", { apiRequests: MAX, ingressBytes: MAX })).toBe(true);
    expect(tracker.withinLimits("oci", { ingressBytes: 1 })).toBe(false);
    expect(tracker.withinLimits("oci", { ingressBytes: 0 })).toBe(true);
  });

  it("is exact at the largest amounts", () => {
    const { tracker } = tracked({ limits: { oci: { apiRequests: MAX } } });
    tracker.record("oci", { apiRequests: MAX - 1 });
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(true);
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    expect(tracker.withinLimits("oci", { apiRequests: MAX })).toBe(false);
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, MAX + 1, 5n, "1", null])(
    "refuses the proposal %s with an error instead of an answer, limited or not",
    (bad) => {
      const { tracker } = tracked({ limits: { oci: { apiRequests: 10 } } });
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
    const { tracker, clock } = tracked({ limits: { oci: { apiRequests: 1 } } });
    tracker.record("oci", { apiRequests: 1 });
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(false);
    clock.advance(17 * 86_400_000);
    expect(tracker.withinLimits("oci", { apiRequests: 1 })).toBe(true);
  });
});

describe("backendsWithinLimits", () => {
  it("keeps the order that it was given", () => {
    const { tracker } = tracked({ limits: { b2: { apiRequests: 1 } }, backends: ["oci", "b2", "r2"] });
    expect(tracker.backendsWithinLimits(["r2", "b2", "oci"], { apiRequests: 1 })).toEqual(["r2", "b2", "oci"]);
    tracker.record("b2", { apiRequests: 1 });
    expect(tracker.backendsWithinLimits(["r2", "b2", "oci"], { apiRequests: 1 })).toEqual(["r2", "oci"]);
    expect(tracker.backendsWithinLimits([], { apiRequests: 1 })).toEqual([]);
  });
});

describe("check", () => {
  it("gives its reasons", () => {
    const { tracker } = tracked({ limits: { oci: { apiRequests: 10, egressBytes: 100 } } });
    tracker.record("oci", { apiRequests: 10, egressBytes: 30, ingressBytes: 5 });
    expect(tracker.check("oci", { apiRequests: 1, egressBytes: 70 })).toEqual({
      backend: "oci",
      allowed: false,
      mode: "exact",
      maxOvershoot: { apiRequests: 0, egressBytes: 0 },
      exceeded: ["apiRequests"],
      reason: "limit",
      retryAfterMs: Date.UTC(2026, 1) - Date.UTC(2026, 0, 15),
      remaining: { apiRequests: 0, egressBytes: 70 },
      usage: { apiRequests: 10, egressBytes: 30, ingressBytes: 5 },
      held: { apiRequests: 0, egressBytes: 0, ingressBytes: 0 },
      limits: { apiRequests: 10, egressBytes: 100 },
      period: { key: "2026-01", start: Date.UTC(2026, 0), end: Date.UTC(2026, 1) },
    });
    expect(tracker.check("oci", { egressBytes: 71 }).exceeded).toEqual(["egressBytes"]);
  });

  it("never answers less than nothing as remaining", () => {
    const { tracker } = tracked({ limits: { oci: { egressBytes: 100 } } });
    tracker.record("oci", { egressBytes: 250 });
    expect(tracker.check("oci", {})).toMatchObject({ allowed: false, remaining: { egressBytes: 0 } });
  });
});

describe("nearLimit", () => {
  it("is true once any limited dimension of any backend is at the ratio", () => {
    const { tracker } = tracked({ limits: { b2: { egressBytes: 100 }, gone: { apiRequests: 1 } } });
    tracker.record("oci", { apiRequests: 1_000_000 });
    tracker.record("b2", { egressBytes: 79 });
    expect(tracker.nearLimit(0.8)).toBe(false);
    tracker.record("b2", { egressBytes: 1 });
    expect(tracker.nearLimit(0.8)).toBe(true);
    expect(tracker.nearLimit(0.81)).toBe(false);
  });

  it.each([0, -1, Number.NaN])("refuses the ratio %s", (ratio) => {
    expect(() => tracked().tracker.nearLimit(ratio)).toThrow(RangeError);
  });
});

describe("tryRecord", () => {
  it("adds where no limit would be passed, and otherwise nothing, in any dimension", () => {
    const { tracker, counter } = tracked({ limits: { oci: { apiRequests: 2, egressBytes: 100 } } });
    expect(tracker.tryRecord("oci", { apiRequests: 1, egressBytes: 100, ingressBytes: 7 })).toBe(true);
    expect(tracker.tryRecord("oci", { apiRequests: 1, egressBytes: 1, ingressBytes: 7 })).toBe(false);
    expect(counter.totalAll("oci")).toEqual({ apiRequests: 1, egressBytes: 100, ingressBytes: 7 });
    expect(tracker.tryRecord("oci", { apiRequests: 1 })).toBe(true);
    expect(tracker.tryRecord("oci", { apiRequests: 1 })).toBe(false);
    expect(tracker.tryRecord("b2", { apiRequests: 1_000 })).toBe(true);
    expect([counter.totalAll("oci").apiRequests, counter.totalAll("b2").apiRequests]).toEqual([2, 1_000]);
  });

  it("counts in what others used", async () => {
    const { tracker, store } = tracked({ limits: { oci: { apiRequests: 10 } } });
    await store.merge([{ writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: 9 } }]);
    await tracker.refresh();
    expect(tracker.tryRecord("oci", { apiRequests: 2 })).toBe(false);
    expect(tracker.tryRecord("oci", { apiRequests: 1 })).toBe(true);
    expect(tracker.tryRecord("oci", { apiRequests: 1 })).toBe(false);
  });

  it("throws for what is no usage and for a backend that is not held, refuses what passes 2^53-1, and adds nothing then", () => {
    const { tracker, counter } = tracked({ limits: { oci: { apiRequests: 10 } } });
    expect(() => tracker.tryRecord("oci", { apiRequests: 1, egressBytes: -1 })).toThrow(AmountError);
    expect(() => tracker.tryRecord("oci", { apiRequests: 1, tokens: 1 } as Partial<Usage>)).toThrow(
      UnknownDimensionError,
    );
    expect(() => tracker.tryRecord("gone", { apiRequests: 1 })).toThrow(UnknownBackendError);
    expect(tracker.tryRecord("oci", { egressBytes: MAX })).toBe(true);
    for (const usage of [{ apiRequests: 1, egressBytes: 1 }, { egressBytes: MAX }]) {
      expect(tracker.tryRecord("oci", usage)).toBe(false);
      expect(tracker.withinLimits("oci", usage)).toBe(false);
      expect(tracker.tryReserve("oci", usage)).toBeUndefined();
      expect(tracker.check("oci", usage)).toMatchObject({ allowed: false, exceeded: ["egressBytes"], reason: "limit" });
    }
    expect(counter.totalAll("oci")).toEqual({ apiRequests: 0, egressBytes: MAX, ingressBytes: 0 });
  });
});

describe("a tracker", () => {
  it("works for any dimensions", () => {
    const dimensions = ["requests", "inputTokens", "outputTokens", "cachedTokens", "images", "seconds"] as const;
    const counter = new LocalCounterBackend(["llm"], { dimensions });
    const tracker = new UsageTracker(counter, {
      store: memoryStore({ dimensions }),
      limits: { llm: { seconds: 10 } },
    });
    tracker.record("llm", { inputTokens: 5, seconds: 9 });
    expect(tracker.withinLimits("llm", { seconds: 1, images: 3 })).toBe(true);
    expect(tracker.check("llm", { seconds: 2 }).exceeded).toEqual(["seconds"]);
  });
});
