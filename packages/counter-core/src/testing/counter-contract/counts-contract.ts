import { describe, expect, it } from "vitest";
import { AmountError, UnknownBackendError, UnknownDimensionError } from "../../model/errors.ts";
import { STORAGE_DIMENSIONS, type StorageDimension, type Usage } from "../../model/usage.ts";
import { ODD_NAMES } from "../odd-names.ts";
import { type WithCounter, ZERO } from "./subject.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** What is on the request path. */
export function countsContract(name: string, withCounter: WithCounter): void {
  describe(`${name} counts`, () => {
    it("begins at zero, with its backends in order", () =>
      withCounter((counter) => {
        expect(counter.backends()).toEqual(["oci", "b2"]);
        expect(counter.dimensions).toEqual(STORAGE_DIMENSIONS);
        expect(counter.totalAll("oci")).toEqual(ZERO);
        expect(counter.loadAll("oci")).toEqual(ZERO);
      }));

    it("adds in one dimension or in several, to one backend only", () =>
      withCounter((counter) => {
        counter.add("oci", "egressBytes", 5);
        counter.addAll("oci", { apiRequests: 1, egressBytes: 7 });
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: 1, egressBytes: 12 });
        expect(counter.load("oci", "egressBytes")).toBe(12);
        expect(counter.loadAll("oci")).toEqual({ ...ZERO, apiRequests: 1, egressBytes: 12 });
        expect(counter.totalAll("b2")).toEqual(ZERO);
      }));

    it("adds to a row where it fits, or past the limit, and takes it back as if it had never been", () =>
      withCounter(async (counter) => {
        counter.setLimits("oci", { apiRequests: 5 });
        counter.addAll("b2", { apiRequests: 7 });
        const row = counter.findRow("oci") as number;
        expect(counter.findRow("gone")).toBeUndefined();
        const amounts = (apiRequests: number) => Float64Array.of(apiRequests, 2, 3, 0);
        expect([5, 6].map((requests) => counter.fitsRow(row, amounts(requests)))).toEqual([true, false]);
        expect(counter.tryAddRow(row, amounts(6))).toBe(false);
        expect(counter.tryAddRow(row, amounts(5))).toBe(true);
        expect(counter.addRow(row, amounts(4))).toBe(true);
        expect(counter.addRow(row, amounts(MAX))).toBe(false);
        expect(counter.totalAll("oci")).toEqual({ apiRequests: 9, egressBytes: 4, ingressBytes: 6 });
        counter.takeBackRow(row, amounts(4));
        counter.takeBackRow(row, amounts(5));
        expect(counter.totalAll("oci")).toEqual(ZERO);
        expect(counter.loadAll("oci")).toEqual(ZERO);
        expect(await counter.tallies()).toHaveLength(1);
        expect(counter.tryAddAll("oci", { apiRequests: 5 })).toBe(true);
        expect(counter.tryAddAll("oci", { apiRequests: 1 })).toBe(false);
        expect(counter.totalAll("b2")).toEqual({ ...ZERO, apiRequests: 7 });
      }));

    it("reads totals in dimension order into an array, and writes nothing behind them", () =>
      withCounter((counter) => {
        counter.addAll("oci", { apiRequests: 1, egressBytes: 2, ingressBytes: 3 });
        const out = new Float64Array(5).fill(9);
        counter.readTotal("oci", out);
        expect([...out]).toEqual([1, 2, 3, 9, 9]);
      }));

    it("takes zero, an empty usage and an undefined dimension as nothing", () =>
      withCounter((counter) => {
        counter.add("oci", "apiRequests", 0);
        counter.addAll("oci", {});
        counter.addAll("oci", { apiRequests: undefined, egressBytes: 4 } as unknown as Partial<Usage>);
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, egressBytes: 4 });
      }));

    it("counts exactly up to 2^53-1 and refuses to pass it", () =>
      withCounter((counter) => {
        counter.add("oci", "apiRequests", MAX - 1);
        counter.add("oci", "apiRequests", 1);
        expect(() => counter.add("oci", "apiRequests", 1)).toThrow(AmountError);
        expect(() => counter.addAll("oci", { egressBytes: 5, apiRequests: 1 })).toThrow(
          /apiRequests.*"oci".*1 would take/,
        );
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: MAX });
        counter.add("b2", "ingressBytes", MAX);
        expect(() => counter.addAll("b2", { apiRequests: 5, egressBytes: 5, ingressBytes: 1 })).toThrow(AmountError);
        expect(counter.totalAll("b2")).toEqual({ ...ZERO, ingressBytes: MAX });
      }));

    it.each(ODD_NAMES)("takes %j for a name like any other", (odd) =>
      withCounter(
        (counter) => {
          counter.add(odd, "apiRequests", 3);
          expect(counter.totalAll(odd).apiRequests).toBe(3);
          expect(counter.totalAll("oci").apiRequests).toBe(0);
        },
        [odd, "oci"],
      ),
    );

    it("refuses an unknown backend on every call", () =>
      withCounter((counter) => {
        const calls: (() => unknown)[] = [
          () => counter.add("gone", "apiRequests", 1),
          () => counter.addAll("gone", { apiRequests: 1 }),
          () => counter.load("gone", "apiRequests"),
          () => counter.loadAll("gone"),
          () => counter.totalAll("gone"),
          () => counter.readTotal("gone", new Float64Array(3)),
          () => counter.setBaseline("gone", ZERO),
          () => counter.discard("gone"),
          () => counter.tryAddAll("gone", { apiRequests: 1 }),
          () => counter.fits("gone", { apiRequests: 1 }),
          () => counter.limitsOf("gone"),
          () => counter.readLimits("gone", new Float64Array(3)),
          () => counter.setLimits("gone", {}),
          () => counter.add("__proto__", "apiRequests", 1),
        ];
        for (const call of calls) expect(call).toThrow(UnknownBackendError);
        expect(() => counter.add("gone", "apiRequests", 1)).toThrow(/"gone"/);
      }));

    it("refuses an unknown dimension, and counts nothing of that call", () =>
      withCounter((counter) => {
        const unknown = "egresBytes" as StorageDimension;
        expect(() => counter.add("oci", unknown, 1)).toThrow(UnknownDimensionError);
        expect(() => counter.load("oci", unknown)).toThrow(UnknownDimensionError);
        expect(() => counter.addAll("oci", { apiRequests: 1, [unknown]: 1 })).toThrow(/"egresBytes".*"oci"/);
        expect(() => counter.addAll("oci", { apiRequests: 1, egressBytes: 1, ingressBytes: 1, [unknown]: 0 })).toThrow(
          UnknownDimensionError,
        );
        expect(() => counter.addAll("oci", 5 as unknown as Usage)).toThrow(TypeError);
        expect(() => counter.addAll("oci", "5" as unknown as Usage)).toThrow(TypeError);
        expect(() => counter.addAll("oci", null as unknown as Usage)).toThrow(TypeError);
        expect(() => counter.addAll("oci", new Map([["apiRequests", 5]]) as unknown as Usage)).toThrow(TypeError);
        expect(() => counter.addAll("oci", [5] as unknown as Usage)).toThrow(TypeError);
        expect(counter.totalAll("oci")).toEqual(ZERO);
      }));

    it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, -Infinity, MAX + 1, 1e300, 5n, "5", true, null, {}, [5]])(
      "refuses the amount %s with an error that names it, and counts nothing of that call",
      (bad) =>
        withCounter((counter) => {
          const amount = bad as number;
          expect(() => counter.add("oci", "egressBytes", amount)).toThrow(AmountError);
          expect(() => counter.add("oci", "egressBytes", amount)).toThrow(/egressBytes.*"oci"/);
          expect(() => counter.addAll("oci", { apiRequests: 1, egressBytes: amount })).toThrow(AmountError);
          expect(() => counter.tryAddAll("oci", { apiRequests: 1, egressBytes: amount })).toThrow(AmountError);
          expect(() => counter.fits("oci", { apiRequests: 1, egressBytes: amount })).toThrow(AmountError);
          expect(() => counter.setBaseline("oci", { ...ZERO, apiRequests: 1, ingressBytes: amount })).toThrow(
            AmountError,
          );
          expect(counter.totalAll("oci")).toEqual(ZERO);
        }),
    );

    it("adds where everything fits, all or nothing, and tells beforehand whether it would", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: 2, egressBytes: 0 });
        expect(counter.fits("oci", { apiRequests: 2 })).toBe(true);
        expect(counter.tryAddAll("oci", { apiRequests: 2, ingressBytes: 7 })).toBe(true);
        expect(counter.fits("oci", { apiRequests: 1 })).toBe(false);
        expect(counter.tryAddAll("oci", { apiRequests: 1, ingressBytes: 1 })).toBe(false);
        expect(counter.tryAddAll("oci", { egressBytes: 1 })).toBe(false);
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: 2, ingressBytes: 7 });
        expect(counter.tryAddAll("b2", { egressBytes: 1 })).toBe(true);
        counter.add("oci", "apiRequests", 1);
        expect(counter.totalAll("oci").apiRequests).toBe(3);
      }));

    it("tells its limits, replaces them as a whole, and keeps the old ones where the new ones are wrong", () =>
      withCounter((counter) => {
        expect(counter.limitsOf("oci")).toEqual({});
        counter.setLimits("oci", { apiRequests: 2, egressBytes: 0 });
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 2, egressBytes: 0 });
        const limits = new Float64Array(3);
        counter.readLimits("oci", limits);
        expect([...limits]).toEqual([2, 0, Number.POSITIVE_INFINITY]);
        for (const wrong of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "5", null]) {
          expect(() => counter.setLimits("oci", { ingressBytes: 1, apiRequests: wrong as number })).toThrow(
            /apiRequests of backend "oci".*cannot be a limit/,
          );
        }
        expect(() => counter.setLimits("oci", { egresBytes: 1 } as Partial<Usage>)).toThrow(UnknownDimensionError);
        expect(() => counter.setLimits("oci", 5 as unknown as Partial<Usage>)).toThrow(TypeError);
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 2, egressBytes: 0 });
        counter.setLimits("oci", { ingressBytes: 9 });
        expect(counter.limitsOf("oci")).toEqual({ ingressBytes: 9 });
        counter.setLimits("oci", {});
        expect(counter.tryAddAll("oci", { apiRequests: MAX })).toBe(true);
        expect(counter.tryAddAll("oci", { apiRequests: 1 })).toBe(false);
      }));

    it("knows whether any backend has used a part of a limit that leaves something to use", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: 10, egressBytes: 0 });
        expect(counter.isAnyAt(0.5)).toBe(false);
        counter.add("oci", "apiRequests", 4);
        expect(counter.isAnyAt(0.5)).toBe(false);
        counter.add("oci", "apiRequests", 1);
        expect(counter.isAnyAt(0.5)).toBe(true);
      }));

    it("adds a baseline to its totals, not to what is unstored, and replaces it", () =>
      withCounter((counter) => {
        counter.add("oci", "apiRequests", 2);
        counter.setBaseline("oci", { ...ZERO, apiRequests: 100, egressBytes: 7 });
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: 102, egressBytes: 7 });
        expect(counter.load("oci", "apiRequests")).toBe(2);
        counter.setBaseline("oci", { ...ZERO, apiRequests: 50 });
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: 52 });
      }));

    it("refuses a baseline that would take a total past 2^53-1, and keeps the old one", () =>
      withCounter((counter) => {
        counter.setBaseline("oci", { ...ZERO, egressBytes: 3 });
        counter.add("oci", "ingressBytes", 1);
        expect(() => counter.setBaseline("oci", { apiRequests: 7, egressBytes: 7, ingressBytes: MAX })).toThrow(
          AmountError,
        );
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, egressBytes: 3, ingressBytes: 1 });
      }));
  });
}
