import { describe, expect, it } from "vitest";
import { AmountError, UnknownBackendError, UnknownDimensionError } from "../../model/errors.ts";
import type { Usage } from "../../model/usage.ts";
import { ownTally, type WithCounter, ZERO } from "./subject.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** What it means to keep usage free for work that is going on. */
export function holdsContract(name: string, withCounter: WithCounter): void {
  describe(`${name} holds`, () => {
    it("what fits, all or nothing, in every later decision and in no total", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: 10, egressBytes: 100 });
        const hold = counter.hold("oci", { apiRequests: 8, egressBytes: 5, ingressBytes: 3 });
        expect(hold).toMatchObject({ backend: "oci", state: "open", period: { key: "2026-01" } });
        expect(hold?.usage).toEqual({ apiRequests: 8, egressBytes: 5, ingressBytes: 3 });
        expect(counter.totalAll("oci")).toEqual(ZERO);
        expect(counter.heldAll("oci")).toEqual({ apiRequests: 8, egressBytes: 5, ingressBytes: 3 });
        expect(counter.fits("oci", { apiRequests: 3 })).toBe(false);
        expect(counter.tryAddAll("oci", { apiRequests: 3 })).toBe(false);
        expect(counter.hold("oci", { egressBytes: 1, apiRequests: 3 })).toBeUndefined();
        expect(counter.heldAll("oci").egressBytes).toBe(5);
        expect(counter.tryAddAll("oci", { apiRequests: 2 })).toBe(true);
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 10, egressBytes: 100 });
        expect(counter.heldAll("b2")).toEqual(ZERO);
      }));

    it("one of twenty that ask at once for most of a limit", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: 10_000 });
        const holds = Array.from({ length: 20 }, () => counter.hold("oci", { apiRequests: 8_000 }));
        expect(holds.filter((hold) => hold !== undefined)).toHaveLength(1);
      }));

    it("until it is settled: then what was used is counted, and the rest is free", () =>
      withCounter(async (counter) => {
        counter.setLimits("oci", { apiRequests: 10 });
        counter.hold("oci", { apiRequests: 8, egressBytes: 9 })?.settle({ apiRequests: 3, ingressBytes: 1 });
        expect(counter.totalAll("oci")).toEqual({ apiRequests: 3, egressBytes: 0, ingressBytes: 1 });
        expect(counter.heldAll("oci")).toEqual(ZERO);
        expect(await counter.tallies()).toEqual([ownTally(counter, "2026-01", { apiRequests: 3, ingressBytes: 1 })]);
        expect(counter.fits("oci", { apiRequests: 7 })).toBe(true);
        expect(counter.fits("oci", { apiRequests: 8 })).toBe(false);
        counter.hold("oci", { apiRequests: 7 })?.settle();
        expect(counter.totalAll("oci").apiRequests).toBe(10);
      }));

    it("once: ending it again, in whatever way, changes nothing", () =>
      withCounter((counter) => {
        const settled = counter.hold("oci", { apiRequests: 5 });
        settled?.settle({ apiRequests: 2 });
        settled?.settle({ apiRequests: 2 });
        settled?.void();
        const voided = counter.hold("oci", { apiRequests: 5 });
        voided?.void();
        voided?.settle();
        voided?.[Symbol.dispose]();
        expect([settled?.state, voided?.state]).toEqual(["settled", "voided"]);
        expect(settled?.usage).toEqual(ZERO);
        expect(voided?.extend({ apiRequests: 1 })).toBe(false);
        expect(counter.totalAll("oci").apiRequests).toBe(2);
        expect(counter.heldAll("oci")).toEqual(ZERO);
      }));

    it("more or less, as the work goes on", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { egressBytes: 100 });
        const hold = counter.hold("oci", { egressBytes: 60 });
        expect(hold?.extend({ egressBytes: 41 })).toBe(false);
        expect(hold?.extend({ egressBytes: 40, apiRequests: 1 })).toBe(true);
        expect(counter.fits("oci", { egressBytes: 1 })).toBe(false);
        hold?.count({ egressBytes: 30 });
        expect(counter.totalAll("oci").egressBytes).toBe(30);
        expect(hold?.usage).toEqual({ apiRequests: 1, egressBytes: 70, ingressBytes: 0 });
        expect(counter.fits("oci", { egressBytes: 1 })).toBe(false);
        hold?.settle({ egressBytes: 20 });
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, egressBytes: 50 });
        expect(counter.fits("oci", { egressBytes: 50 })).toBe(true);
        expect(counter.excessAll("oci")).toEqual(ZERO);
      }));

    it("less, and none where it keeps no more than that, and what it has ended no less", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { egressBytes: 100 });
        const freed: string[] = [];
        counter.onFreed((backend) => void freed.push(backend));
        const hold = counter.hold("oci", { apiRequests: 1, egressBytes: 100 });
        hold?.shrink({ egressBytes: 30 });
        expect(freed).toEqual(["oci"]);
        expect(hold?.usage).toEqual({ apiRequests: 1, egressBytes: 70, ingressBytes: 0 });
        expect(counter.fits("oci", { egressBytes: 30 })).toBe(true);
        expect(counter.fits("oci", { egressBytes: 31 })).toBe(false);
        expect(() => hold?.shrink({ egressBytes: -1 })).toThrow(AmountError);
        hold?.shrink({ egressBytes: 71, ingressBytes: 5 });
        expect(counter.heldAll("oci")).toEqual({ ...ZERO, apiRequests: 1 });
        const other = counter.hold("oci", { egressBytes: 50 });
        hold?.void();
        hold?.shrink({ apiRequests: 1, egressBytes: 50 });
        expect(counter.heldAll("oci")).toEqual({ ...ZERO, egressBytes: 50 });
        expect(other?.extend({ egressBytes: 50 })).toBe(true);
        expect(counter.totalAll("oci")).toEqual(ZERO);
      }));

    it("and counts what was used beyond it, which it tells", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: 10 });
        const hold = counter.hold("oci", { apiRequests: 8 });
        hold?.count({ apiRequests: 9 });
        hold?.settle({ apiRequests: 4, egressBytes: 2 });
        expect(counter.totalAll("oci")).toEqual({ apiRequests: 13, egressBytes: 2, ingressBytes: 0 });
        expect(counter.excessAll("oci")).toEqual({ apiRequests: 5, egressBytes: 2, ingressBytes: 0 });
        expect(counter.fits("oci", { apiRequests: 1 })).toBe(false);
        expect(counter.fits("oci", {})).toBe(false);
      }));

    it("no amounts that are none, and is as it was after one", () =>
      withCounter((counter) => {
        expect(() => counter.hold("gone", {})).toThrow(UnknownBackendError);
        for (const wrong of [-1, 0.5, Number.NaN, "5", MAX + 1]) {
          const usage = { egressBytes: 1, apiRequests: wrong } as unknown as Partial<Usage>;
          expect(() => counter.hold("oci", usage)).toThrow(AmountError);
          const hold = counter.hold("oci", { apiRequests: 3 });
          for (const work of [() => hold?.settle(usage), () => hold?.count(usage), () => hold?.extend(usage)]) {
            expect(work).toThrow(AmountError);
          }
          expect(hold).toMatchObject({ state: "open", usage: { ...ZERO, apiRequests: 3 } });
          hold?.void();
        }
        expect(() => counter.hold("oci", { tokens: 1 } as Partial<Usage>)).toThrow(UnknownDimensionError);
        for (const ttlMs of [0, -1, Number.NaN, 2 ** 31]) {
          expect(() => counter.hold("oci", {}, { ttlMs })).toThrow(RangeError);
        }
        counter.add("oci", "apiRequests", MAX - 1);
        const last = counter.hold("oci", { apiRequests: 1 });
        expect(counter.hold("oci", { apiRequests: 1 })).toBeUndefined();
        expect(counter.hold("oci", { apiRequests: MAX })).toBeUndefined();
        expect(last?.extend({ apiRequests: MAX })).toBe(false);
        expect([counter.fits("oci", { apiRequests: MAX }), counter.tryAddAll("oci", { apiRequests: MAX })]).toEqual([
          false,
          false,
        ]);
        expect(() => last?.settle({ egressBytes: 1, apiRequests: 2 })).toThrow(AmountError);
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: MAX - 1 });
        last?.settle();
        expect(counter.totalAll("oci").apiRequests).toBe(MAX);
      }));

    it("and says what it would do, doing nothing", () =>
      withCounter((counter) => {
        counter.setLimits("oci", { apiRequests: MAX, egressBytes: 10 });
        counter.add("oci", "apiRequests", MAX - 5);
        const freed: string[] = [];
        counter.onFreed((backend) => void freed.push(backend));
        const hold = counter.hold("oci", { egressBytes: 6 });
        expect([4, 5, 4].map((egressBytes) => hold?.canExtend({ egressBytes }))).toEqual([true, false, true]);
        hold?.assertCountable({ apiRequests: 5, egressBytes: 20 });
        expect(() => hold?.assertCountable({ apiRequests: 6 })).toThrow(/past 2\^53-1/);
        for (const wrong of [{ apiRequests: -1 }, { tokens: 1 } as Partial<Usage>]) {
          expect(() => hold?.canExtend(wrong)).toThrow();
          expect(() => hold?.assertCountable(wrong)).toThrow();
        }
        expect(hold).toMatchObject({ state: "open", usage: { ...ZERO, egressBytes: 6 } });
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: MAX - 5 });
        expect(counter.heldAll("oci")).toEqual({ ...ZERO, egressBytes: 6 });
        expect(freed).toEqual([]);
        hold?.void();
        expect(hold?.canExtend({})).toBe(false);
      }));

    it("for its time, then it is free again; what is settled later is counted in full, and told", () =>
      withCounter((counter, clock) => {
        counter.setLimits("oci", { apiRequests: 10 });
        const expired: unknown[] = [];
        using _listening = counter.onHoldExpired((hold) => void expired.push([hold.backend, hold.state]));
        const hold = counter.hold("oci", { apiRequests: 8 }, { ttlMs: 60_000 });
        const other = counter.hold("oci", { apiRequests: 1 });
        clock.set("2026-01-20T00:00:00Z"); // the wall clock is nobody's time to live
        clock.advance(59_999);
        expect(counter.fits("oci", { apiRequests: 2 })).toBe(false);
        clock.advance(2_001);
        expect(expired).toEqual([["oci", "expired"]]);
        expect(counter.fits("oci", { apiRequests: 9 })).toBe(true);
        expect(hold?.extend({ apiRequests: 1 })).toBe(false);
        hold?.settle({ apiRequests: 6 });
        hold?.settle({ apiRequests: 6 });
        expect(hold?.state).toBe("settled");
        expect(counter.totalAll("oci").apiRequests).toBe(6);
        expect(counter.excessAll("oci").apiRequests).toBe(6);
        expect(other?.state).toBe("open");
        clock.advance(600_000);
        expect(other?.state).toBe("expired");
      }));

    it("in the month in which it began, whenever it ends; the next one is whole", () =>
      withCounter(async (counter, clock) => {
        counter.setLimits("oci", { apiRequests: 10 });
        const hold = counter.hold("oci", { apiRequests: 8 }, { ttlMs: 2 ** 31 - 1 });
        clock.set("2026-02-01T00:00:00Z");
        clock.advance(1_000);
        expect(counter.heldAll("oci")).toEqual(ZERO);
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 10 });
        expect(counter.tryAddAll("oci", { apiRequests: 10 })).toBe(true);
        expect(hold?.extend({ apiRequests: 3 })).toBe(false);
        expect(hold?.extend({ apiRequests: 2 })).toBe(true);
        expect(counter.fits("oci", {})).toBe(true);
        hold?.count({ apiRequests: 1 });
        clock.set("2026-03-15T00:00:00Z"); // by then it would be let go of, were nothing held in it
        clock.advance(1_000);
        hold?.settle({ apiRequests: 6 });
        expect(counter.totalAll("oci")).toEqual(ZERO);
        expect(await counter.tallies()).toEqual([
          ownTally(counter, "2026-01", { apiRequests: 7 }),
          ownTally(counter, "2026-02", { apiRequests: 10 }),
        ]);
      }));

    it("as before where the clock was set back into its month", () =>
      withCounter((counter, clock) => {
        counter.setLimits("oci", { apiRequests: 10 });
        const hold = counter.hold("oci", { apiRequests: 8 });
        for (const time of ["2026-02-01T00:00:00Z", "2026-01-31T23:00:00Z"]) {
          clock.set(time);
          clock.advance(1_000);
        }
        expect(counter.heldAll("oci").apiRequests).toBe(8);
        expect(counter.fits("oci", { apiRequests: 3 })).toBe(false);
        hold?.void();
        expect(counter.fits("oci", { apiRequests: 10 })).toBe(true);
      }));

    it("under limits that change, also below what is held", () =>
      withCounter((counter) => {
        const hold = counter.hold("oci", { apiRequests: 8 });
        counter.setLimits("oci", { apiRequests: 5 });
        expect(counter.limitsOf("oci")).toEqual({ apiRequests: 5 });
        expect(counter.fits("oci", {})).toBe(false);
        hold?.settle({ apiRequests: 1 });
        expect(counter.fits("oci", { apiRequests: 4 })).toBe(true);
        counter.setLimits("oci", {});
        expect(counter.limitsOf("oci")).toEqual({});
      }));

    it("and tells of what is free again", () =>
      withCounter((counter) => {
        const freed: string[] = [];
        const listening = counter.onFreed((backend) => void freed.push(backend));
        const holds = [1, 2].map(() => counter.hold("oci", { apiRequests: 2 }));
        holds[0]?.settle({ apiRequests: 1 });
        listening[Symbol.dispose]();
        holds[1]?.void();
        expect(freed).toEqual(["oci"]);
      }));
  });
}
