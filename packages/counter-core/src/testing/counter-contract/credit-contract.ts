import { describe, expect, it } from "vitest";
import { AmountError, UnknownBackendError, UnknownDimensionError } from "../../model/errors.ts";
import type { Usage } from "../../model/usage.ts";
import { type WithCounter, ZERO } from "./subject.ts";

/** What is granted for one period on top of the limits. */
export function creditContract(name: string, withCounter: WithCounter): void {
  describe(`${name} has credit`, () => {
    it("in its limits: it may be used and held up to the last unit, and no further", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: 10, egressBytes: 0 });
        expect(counter.tryAddAll("oci", { apiRequests: 10 })).toBe(true);
        expect(counter.tryAddAll("oci", { apiRequests: 1 })).toBe(false);
        counter.setCredit("2026-01", "oci", { apiRequests: 5, egressBytes: 7 });
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 15, egressBytes: 7 });
        expect(counter.creditAll("oci")).toEqual({ ...ZERO, apiRequests: 5, egressBytes: 7 });
        const limits = new Float64Array(3);
        counter.readLimits("oci", limits);
        expect([...limits]).toEqual([15, 7, Number.POSITIVE_INFINITY]);
        expect([counter.fits("oci", { apiRequests: 5 }), counter.fits("oci", { apiRequests: 6 })]).toEqual([
          true,
          false,
        ]);
        const hold = counter.hold("oci", { apiRequests: 3, egressBytes: 7 });
        expect(counter.hold("oci", { apiRequests: 3 })).toBeUndefined();
        expect(counter.tryAddAll("oci", { apiRequests: 2 })).toBe(true);
        expect(counter.tryAddAll("oci", { apiRequests: 1 })).toBe(false);
        hold?.settle();
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: 15, egressBytes: 7 });
        expect(counter.tryAddAll("oci", { apiRequests: 1 })).toBe(false);
        expect(counter.limitsOf("b2")).toEqual({});
      }));

    it("that is replaced, not added to, and stays when limits change", () =>
      withCounter((counter) => {
        counter.setCredit("2026-01", "oci", { apiRequests: 5 });
        counter.setLimits("oci", { apiRequests: 10 });
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 15 });
        counter.setCredit("2026-01", "oci", { apiRequests: 7 });
        counter.setLimits("oci", { apiRequests: 20, ingressBytes: 1 });
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 27, ingressBytes: 1 });
        expect(counter.tryAddAll("oci", { apiRequests: 28 })).toBe(false);
        expect(counter.tryAddAll("oci", { apiRequests: 27 })).toBe(true);
        counter.setCredit("2026-01", "oci", {});
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 20, ingressBytes: 1 });
        expect(counter.tryAddAll("oci", {})).toBe(false);
      }));

    it("of what is not limited only once it is", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: 10 });
        counter.setCredit("2026-01", "oci", { egressBytes: 5 });
        expect([counter.limitsOf("oci"), counter.creditAll("oci")]).toEqual([{ apiRequests: 10 }, ZERO]);
        expect(counter.tryAddAll("oci", { egressBytes: 1_000 })).toBe(true);
        counter.setLimits("oci", { egressBytes: 1_000 });
        expect(counter.limitsOf("oci")).toEqual({ egressBytes: 1_005 });
        counter.setLimits("oci", {});
        expect(counter.tryAddAll("oci", { egressBytes: 1_000 })).toBe(true);
      }));

    it("of one period: the next one begins without it, at its first request", () =>
      withCounter((counter, clock) => {
        clock.set("2026-01-31T23:59:59Z");
        clock.advance(1);
        counter.setLimits("oci", { apiRequests: 10 });
        counter.setCredit("2026-01", "oci", { apiRequests: 5 });
        expect(counter.tryAddAll("oci", { apiRequests: 15 })).toBe(true);
        clock.advance(1_000);
        expect([counter.limitsOf("oci"), counter.creditAll("oci")]).toEqual([{ apiRequests: 10 }, ZERO]);
        expect([counter.fits("oci", { apiRequests: 11 }), counter.hold("oci", { apiRequests: 11 })]).toEqual([
          false,
          undefined,
        ]);
        expect(counter.tryAddAll("oci", { apiRequests: 11 })).toBe(false);
        expect(counter.tryAddAll("oci", { apiRequests: 10 })).toBe(true);
        // What is learnt late of the month that is over.
        counter.setCredit("2026-01", "oci", { apiRequests: 50 });
        counter.setCredit("2026-03", "oci", { apiRequests: 50 });
        expect(counter.tryAddAll("oci", { apiRequests: 1 })).toBe(false);
        counter.setCredit("2026-02", "oci", { apiRequests: 1 });
        expect(counter.tryAddAll("oci", { apiRequests: 1 })).toBe(true);
        expect(counter.tryAddAll("oci", { apiRequests: 1 })).toBe(false);
      }));

    it("again where the clock steps back into its period", () =>
      withCounter((counter, clock) => {
        clock.set("2026-01-31T23:59:59Z");
        counter.setLimits("oci", { apiRequests: 10 });
        counter.setCredit("2026-01", "oci", { apiRequests: 5 });
        clock.advance(2_000);
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 10 });
        clock.set("2026-01-31T23:59:30Z");
        clock.advance(1_000);
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 15 });
        expect(counter.tryAddAll("oci", { apiRequests: 16 })).toBe(false);
        expect(counter.tryAddAll("oci", { apiRequests: 15 })).toBe(true);
      }));

    it("in what is near its limit", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: 10 });
        counter.add("oci", "apiRequests", 8);
        expect(counter.isAnyAt(0.8)).toBe(true);
        counter.setCredit("2026-01", "oci", { apiRequests: 10 });
        expect(counter.isAnyAt(0.8)).toBe(false);
        counter.add("oci", "apiRequests", 8);
        expect(counter.isAnyAt(0.8)).toBe(true);
      }));

    it("with which a limit goes no higher than one can be", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: 10 });
        counter.setCredit("2026-01", "oci", { apiRequests: Number.MAX_SAFE_INTEGER });
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: Number.MAX_SAFE_INTEGER - 1 });
        counter.setLimits("oci", { apiRequests: Number.MAX_SAFE_INTEGER - 1 });
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: Number.MAX_SAFE_INTEGER - 1 });
        counter.setCredit("2026-01", "oci", {});
        counter.setLimits("oci", { apiRequests: 10 });
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 10 });
      }));

    it("that tells who waits that something is free", () =>
      withCounter((counter) => {
        const freed: string[] = [];
        counter.onFreed((backend) => freed.push(backend));
        counter.setCredit("2026-01", "oci", { apiRequests: 1 });
        expect(freed).toEqual(["oci"]);
      }));

    it("unchanged where what is given is wrong", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: 10 });
        counter.setCredit("2026-01", "oci", { apiRequests: 5 });
        for (const wrong of [-1, 0.5, Number.NaN, "5"]) {
          const amounts = { egressBytes: 1, apiRequests: wrong as number };
          expect(() => counter.setCredit("2026-01", "oci", amounts)).toThrow(AmountError);
        }
        const misspelt = { apiRequest: 1 } as Partial<Usage>;
        expect(() => counter.setCredit("2026-01", "oci", misspelt)).toThrow(UnknownDimensionError);
        expect(() => counter.setCredit("2026-01", "gone", {})).toThrow(UnknownBackendError);
        expect(() => counter.creditAll("gone")).toThrow(UnknownBackendError);
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 15 });
      }));
  });
}
