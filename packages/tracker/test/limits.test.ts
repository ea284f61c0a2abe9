import {
  AmountError,
  type Limits,
  LocalCounterBackend,
  memoryStore,
  NameError,
  type StorageDimension,
  UnknownDimensionError,
} from "@usage/counter-core";
import { type LimitsByBackend, type LimitsSource, UsageTracker } from "@usage/tracker";
import { describe, expect, it, vi } from "vitest";
import { tracked } from "./support/tracked.ts";

const WRONG: readonly (readonly [string, unknown, new (...args: never[]) => Error])[] = [
  ["negative", { apiRequests: -1 }, AmountError],
  ["fractional", { apiRequests: 1.5 }, AmountError],
  ["NaN", { apiRequests: Number.NaN }, AmountError],
  ["infinite", { apiRequests: Number.POSITIVE_INFINITY }, AmountError],
  ["text", { apiRequests: "5" }, AmountError],
  ["null", { apiRequests: null }, AmountError],
  ["a number for all dimensions", 5, TypeError],
  ["a list", [5], TypeError],
  ["a Map within the object", new Map([["apiRequests", 5]]), TypeError],
  ["nothing", null, TypeError],
  ["a promise of them", Promise.resolve({ apiRequests: 5 }), TypeError],
  ["of an unknown dimension", { tokens: 1 }, UnknownDimensionError],
];

function heapUsed(): number {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc");
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}

describe("limits by name", () => {
  it("are kept once for all who have the same plan, and told apart where it was changed meanwhile", async () => {
    const { tracker, counter } = tracked();
    const names = Array.from({ length: 50_000 }, (_, i) => `tenant-${i}`);
    const plan = { apiRequests: 5, egressBytes: 6, ingressBytes: 7 };
    const grownBy = (limitsOf: () => Limits): number => {
      const before = heapUsed();
      for (const name of names) tracker.setLimits(name, limitsOf());
      return heapUsed() - before;
    };
    grownBy(() => plan); // the names' entries
    const distinct = grownBy(() => ({ ...plan }));
    const shared = grownBy(() => plan) + distinct;
    expect(shared).toBeLessThan(distinct / 2);
    plan.apiRequests = 9;
    tracker.setLimits("tenant-1", plan);
    await tracker.ensure(["tenant-0", "tenant-1"]);
    expect(counter.limitsOf("tenant-0").apiRequests).toBe(5);
    expect(counter.limitsOf("tenant-1").apiRequests).toBe(9);
  });

  it("are replaced as a whole, and copied in and out", () => {
    const given = new Map([["oci", { apiRequests: 1 }]]);
    const { tracker, counter } = tracked({ limits: given });
    given.set("oci", { apiRequests: 100 });
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    Object.assign(counter.limitsOf("oci"), { apiRequests: 100 });
    expect(counter.limitsOf("oci")).toEqual({ apiRequests: 1 });
    tracker.updateLimits({ b2: { egressBytes: 5 } });
    expect(counter.limitsOf("oci")).toEqual({});
    expect(counter.limitsOf("b2")).toEqual({ egressBytes: 5 });
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(true);
  });

  it("of backends that nobody counts yet are kept, and hold once they are", async () => {
    const { tracker } = tracked({ limits: { r2: { apiRequests: 1 } } });
    await tracker.ensure("r2");
    expect(tracker.withinLimits("r2", { apiRequests: 2 })).toBe(false);
  });

  it.each([...WRONG, ["of a backend without a name", undefined, NameError] as const])(
    "that are %s are refused, and the old ones stay",
    (_, wrong, error) => {
      const one = wrong === undefined ? { "": { apiRequests: 1 } } : { oci: wrong };
      const limits = { b2: { apiRequests: 5 }, ...one } as unknown as LimitsByBackend<StorageDimension>;
      const { tracker, counter } = tracked({ limits: { oci: { apiRequests: 1 } } });
      expect(() => tracker.updateLimits(limits)).toThrow(error);
      expect(() => new UsageTracker(counter, { store: memoryStore(), limits })).toThrow(error);
      expect(counter.limitsOf("oci")).toEqual({ apiRequests: 1 });
      expect(counter.limitsOf("b2")).toEqual({});
    },
  );

  it.each([null, 5, [], "oci"])("that are %j altogether are refused", (limits) => {
    const wrong = limits as unknown as LimitsSource<StorageDimension>;
    expect(() => tracked().tracker.updateLimits(wrong)).toThrow(/limits must be a function, an object or a Map/);
  });

  it("are read from getters, as usage is", async () => {
    class Plan {
      get apiRequests(): number {
        return 1;
      }
    }
    const { tracker, counter } = tracked({ limits: { oci: new Plan() }, defaults: new Plan() });
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    expect(counter.limitsOf("oci")).toEqual({ apiRequests: 1 });
    expect(counter.limitsOf("b2")).toEqual({ apiRequests: 1 });
    tracker.setLimits("b2", new Plan());
    expect(counter.limitsOf("b2")).toEqual({ apiRequests: 1 });
    await tracker.ensure("r2");
    expect(counter.limitsOf("r2")).toEqual({ apiRequests: 1 });
  });
});

describe("default limits", () => {
  it("are those of every backend for which there are none of its own", async () => {
    const { tracker, counter } = tracked({ limits: { oci: { apiRequests: 9 } }, defaults: { egressBytes: 5 } });
    await tracker.ensure("acme");
    expect(counter.limitsOf("oci")).toEqual({ apiRequests: 9 });
    expect(counter.limitsOf("b2")).toEqual({ egressBytes: 5 });
    expect(counter.limitsOf("acme")).toEqual({ egressBytes: 5 });
  });

  it("stay when the others are replaced, whatever became of the object that was given", () => {
    const defaults = { apiRequests: 5 };
    const { tracker, counter } = tracked({ limits: { b2: {} }, defaults });
    defaults.apiRequests = 7;
    tracker.updateLimits({});
    expect(counter.limitsOf("b2")).toEqual({ apiRequests: 5 });
  });

  it.each(WRONG)("that are %s are refused", (_, wrong, error) => {
    expect(() => tracked({ defaults: wrong as Limits })).toThrow(error);
  });
});

describe("limits by function", () => {
  it("are those that it returns, of each backend for itself; undefined: the default ones", async () => {
    const limits = (backend: string) => (backend === "oci" ? { apiRequests: 1 } : undefined);
    const { tracker, counter } = tracked({ limits, defaults: { apiRequests: 2 } });
    await tracker.ensure("acme");
    expect(counter.limitsOf("oci")).toEqual({ apiRequests: 1 });
    expect(counter.limitsOf("b2")).toEqual({ apiRequests: 2 });
    expect(counter.limitsOf("acme")).toEqual({ apiRequests: 2 });
  });

  it("are asked for once a backend, when it comes, and never on the request path", async () => {
    const limits = vi.fn(() => ({ apiRequests: 1_000 }));
    const { tracker } = tracked({ limits, backends: [] });
    await Promise.all([tracker.ensure("acme"), tracker.ensure("acme"), tracker.ensure("umbrella")]);
    for (let i = 0; i < 100; i++) {
      expect(tracker.ensure("acme")).toBeUndefined();
      tracker.tryRecord("acme", { apiRequests: 1 });
    }
    expect(limits.mock.calls).toEqual([["acme"], ["umbrella"]]);
  });

  it.each(WRONG)("that are %s of a held backend are refused, and those of all stay", (_, wrong, error) => {
    const { tracker, counter } = tracked({ limits: { oci: { apiRequests: 1 }, b2: { apiRequests: 2 } } });
    const limits = ((backend: string) =>
      backend === "b2" ? wrong : { apiRequests: 9 }) as LimitsSource<StorageDimension>;
    expect(() => tracker.updateLimits(limits)).toThrow(error);
    expect(() => new UsageTracker(counter, { store: memoryStore(), limits })).toThrow(error);
    expect([counter.limitsOf("oci"), counter.limitsOf("b2")]).toEqual([{ apiRequests: 1 }, { apiRequests: 2 }]);
  });

  it("that throws for a held backend leaves everything as it was", async () => {
    const { tracker, counter } = tracked({ limits: { oci: { apiRequests: 1 } } });
    const failing = (backend: string): Limits => {
      if (backend === "b2") throw new Error("no plan");
      return { apiRequests: 9 };
    };
    expect(() => tracker.updateLimits(failing)).toThrow("no plan");
    await tracker.ensure("acme");
    expect([counter.limitsOf("oci"), counter.limitsOf("acme")]).toEqual([{ apiRequests: 1 }, {}]);
  });
});

describe("setLimits", () => {
  it("holds from the next request on, for one backend alone", () => {
    const { tracker, counter } = tracked({ limits: { oci: { apiRequests: 5 }, b2: { apiRequests: 5 } } });
    tracker.setLimits("oci", { apiRequests: 1 });
    expect(tracker.withinLimits("oci", { apiRequests: 2 })).toBe(false);
    expect(tracker.withinLimits("b2", { apiRequests: 2 })).toBe(true);
    tracker.setLimits("oci", { egressBytes: 7 });
    expect(counter.limitsOf("oci")).toEqual({ egressBytes: 7 });
  });

  it("is kept for a backend that is not held, and holds once it is", async () => {
    const { tracker, counter } = tracked({ limits: () => ({ apiRequests: 5 }) });
    tracker.setLimits("acme", { apiRequests: 1 });
    expect(counter.has("acme")).toBe(false);
    await tracker.ensure("acme");
    expect(counter.limitsOf("acme")).toEqual({ apiRequests: 1 });
  });

  it("gives a backend the default limits again where it is told undefined", async () => {
    const { tracker, counter } = tracked({ limits: { oci: { apiRequests: 5 } }, defaults: { egressBytes: 7 } });
    tracker.setLimits("oci", undefined);
    expect(counter.limitsOf("oci")).toEqual({ egressBytes: 7 });
  });

  it("is over once all limits are replaced", async () => {
    const { tracker, counter } = tracked();
    tracker.setLimits("oci", { apiRequests: 1 });
    tracker.setLimits("acme", { apiRequests: 1 });
    tracker.updateLimits({ oci: { apiRequests: 3 } });
    await tracker.ensure("acme");
    expect([counter.limitsOf("oci"), counter.limitsOf("acme")]).toEqual([{ apiRequests: 3 }, {}]);
  });

  it.each(WRONG)("refuses limits that are %s, and changes nothing", async (_, wrong, error) => {
    const { tracker, counter } = tracked({ limits: () => ({ apiRequests: 5 }) });
    expect(() => tracker.setLimits("oci", wrong as Limits)).toThrow(error);
    expect(() => tracker.setLimits("acme", wrong as Limits)).toThrow(error);
    await tracker.ensure("acme");
    expect([counter.limitsOf("oci"), counter.limitsOf("acme")]).toEqual([{ apiRequests: 5 }, { apiRequests: 5 }]);
  });

  it("refuses a name that is none", () => {
    expect(() => tracked().tracker.setLimits("", { apiRequests: 1 })).toThrow(NameError);
  });

  it("holds for a backend that is just being brought in, and so do limits that are replaced meanwhile", async () => {
    const { tracker, counter } = tracked({ limits: { acme: { apiRequests: 1 }, umbrella: { apiRequests: 1 } } });
    const ensured = tracker.ensure(["acme", "umbrella"]);
    tracker.updateLimits({ acme: { apiRequests: 2 } });
    tracker.setLimits("umbrella", { apiRequests: 3 });
    await ensured;
    expect([counter.limitsOf("acme"), counter.limitsOf("umbrella")]).toEqual([{ apiRequests: 2 }, { apiRequests: 3 }]);
  });

  it("finds all of a hundred thousand names without a list of them in between", () => {
    const names = Array.from({ length: 100_000 }, (_, i) => `tenant-${i}`);
    const { tracker, counter } = tracked({ backends: names, limits: () => ({ apiRequests: 2 }) });
    for (const name of names) tracker.setLimits(name, { apiRequests: 1 });
    expect(counter.limitsOf("tenant-99999")).toEqual({ apiRequests: 1 });
  });
});

describe("a counter's own limits", () => {
  it("are replaced by those of the tracker that is made of it", () => {
    const counter = new LocalCounterBackend(["oci"]);
    counter.setLimits("oci", { apiRequests: 1 });
    const tracker = new UsageTracker(counter, { store: memoryStore() });
    expect(tracker.withinLimits("oci", { apiRequests: 5 })).toBe(true);
  });
});
