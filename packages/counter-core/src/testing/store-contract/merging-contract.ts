import { describe, expect, it } from "vitest";
import type { RejectedTally } from "../../hops/usage-store.ts";
import type { Tally } from "../../model/usage.ts";
import { maximaSummed, randomFrom, randomSchedule, randomTallies } from "../random-tallies.ts";
import { all, many, PERIOD, tally, usage, usageOf } from "../sample-tallies.ts";
import type { WithStore } from "./subject.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** What a store promises of what is merged into it. */
export function mergingContract(name: string, withStore: WithStore, schedules: number): void {
  describe(`${name} keeps what is merged`, () => {
    it("keeps what was merged, and answers zero for a dimension that was not", () =>
      withStore(async (store) => {
        expect(await store.merge([tally("w", "oci", { apiRequests: 2, egressBytes: 5 })])).toEqual([]);
        expect(await all(store)).toEqual({ oci: usage(2, 5, 0) });
      }));

    it("takes an empty merge", () =>
      withStore(async (store) => {
        expect(await store.merge([])).toEqual([]);
        expect(await all(store)).toEqual({});
      }));

    it("counts a tally once, however often it is merged", () =>
      withStore(async (store) => {
        const tallies = [tally("w", "oci", { apiRequests: 2 }), tally("v", "oci", { apiRequests: 3 })];
        for (let times = 0; times < 3; times++) await store.merge(tallies);
        expect(await all(store)).toEqual({ oci: usage(5, 0, 0) });
      }));

    it("takes the larger amount of each dimension by itself", () =>
      withStore(async (store) => {
        await store.merge([tally("w", "oci", { apiRequests: 5, egressBytes: 10 })]);
        await store.merge([tally("w", "oci", { apiRequests: 9, egressBytes: 1, ingressBytes: 4 })]);
        expect(await all(store)).toEqual({ oci: usage(9, 10, 4) });
      }));

    it("is not lowered by a smaller, an empty or a zero tally", () =>
      withStore(async (store) => {
        await store.merge([tally("w", "oci", { apiRequests: 9 })]);
        await store.merge([tally("w", "oci", { apiRequests: 8 })]);
        await store.merge([tally("w", "oci", {}), tally("w", "oci", { apiRequests: 0 })]);
        expect(await all(store)).toEqual({ oci: usage(9, 0, 0) });
      }));

    it("takes the larger when one merge has the same tally twice", () =>
      withStore(async (store) => {
        await store.merge([1, 7, 3].map((amount) => tally("w", "oci", { apiRequests: amount })));
        expect(await all(store)).toEqual({ oci: usage(7, 0, 0) });
      }));

    it("keeps 2^53-1 exactly, and no sum passes it", () =>
      withStore(async (store) => {
        await store.merge([tally("w", "oci", { apiRequests: MAX, egressBytes: MAX - 1 })]);
        expect(await all(store)).toEqual({ oci: usage(MAX, MAX - 1, 0) });
        await store.merge(Array.from({ length: 1100 }, (_, v) => tally(`v${v}`, "oci", { apiRequests: MAX })));
        expect(await all(store)).toEqual({ oci: usage(MAX, MAX - 1, 0) });
        expect((await store.history({}))[0]?.usage.apiRequests).toBe(MAX);
      }));

    it("rejects tallies that can never be stored, with a reason, and stores the others", () =>
      withStore(async (store) => {
        const good = [tally("w", "first", { apiRequests: 1 }), tally("w", "last", { apiRequests: 1 })];
        const bad: readonly Tally[] = [
          ...[-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, MAX + 1].map((n) => tally("w", "oci", { apiRequests: n })),
          ...["", "x".repeat(257), "a\u0000b", "a\nb", "\ud800"].flatMap((name) => [
            tally("w", name, { apiRequests: 1 }),
            tally(name, "oci", { apiRequests: 1 }),
            { ...tally("w", "oci", { apiRequests: 1 }), period: name },
          ]),
          ...["", "1a", "a b", "a".repeat(65)].map((dimension) => tally("w", "oci", { [dimension]: 1 })),
          tally("w", "oci", { apiRequests: 1, egressBytes: -1 }),
        ];
        const rejected = await store.merge([good[0] ?? [], bad, good[1] ?? []].flat());
        expect(new Set(rejected.map((one: RejectedTally) => one.tally))).toEqual(new Set(bad));
        for (const { reason } of rejected) {
          expect(reason).toBeInstanceOf(Error);
          expect(reason.message).not.toBe("");
        }
        expect(await all(store)).toEqual({ first: usage(1, 0, 0), last: usage(1, 0, 0) });
      }));

    it("rejects with the reason of a signal that is aborted before or while it merges", () =>
      withStore(async (store) => {
        const reason = new Error("shutting down");
        await expect(store.merge([tally("w", "oci", {})], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
        const controller = new AbortController();
        const merging = store.merge(many(5_000), { signal: controller.signal });
        controller.abort(reason);
        await expect(merging).rejects.toBe(reason);
        expect(await store.merge(many(5_000), { signal: new AbortController().signal })).toEqual([]);
        expect((await usageOf(store)).size).toBe(5_000);
      }));

    it("takes many backends and many writers, and answers all of them", () =>
      withStore(async (store) => {
        const tallies = [
          ...many(3_000),
          ...Array.from({ length: 3_000 }, (_, v) => tally(`v${v}`, "oci", { apiRequests: 1 })),
        ];
        expect(await store.merge(tallies)).toEqual([]);
        const totals = await usageOf(store);
        expect(totals.size).toBe(3_001);
        expect(totals.get("oci")).toEqual({ all: usage(3_000, 0, 0), own: usage(0, 0, 0) });
        expect(totals.get("backend-2999")).toEqual({ all: usage(3_000, 1, 0), own: usage(3_000, 1, 0) });
        expect(await store.tallies(PERIOD, [...totals.keys()])).toHaveLength(6_000);
        expect(await store.history({})).toHaveLength(3_001);
      }));

    it("takes four merges at once, of the same and of other tallies", () =>
      withStore(async (store) => {
        const shared = many(500);
        await Promise.all([0, 1, 2, 3].map((caller) => store.merge([...shared, ...many(500, `writer-${caller}`)])));
        const totals = await usageOf(store);
        expect(totals.size).toBe(500);
        for (const [backend, stored] of totals) {
          const amount = Number(backend.slice("backend-".length)) + 1;
          expect(stored).toEqual({ all: usage(5 * amount, 5, 0), own: usage(amount, 1, 0) });
        }
      }));

    it("ends alike whatever the order, the grouping and the repetitions of its merges", () =>
      withStore(async (store) => {
        for (let seed = 1; seed <= schedules; seed++) {
          const random = randomFrom(seed);
          const period = `seed-${seed}`;
          const tallies = randomTallies(random, period);
          for (const schedule of randomSchedule(random, tallies)) await store.merge(schedule);
          expect(await all(store, period), `seed ${seed}`).toEqual(maximaSummed(tallies));
        }
      }));

    it("keeps what it merged when it is opened again, if it outlives its object", () =>
      withStore(async (store, tested) => {
        await store.merge([tally("w", "oci", { apiRequests: 2 })]);
        const reopened = (await tested.reopen?.()) ?? store;
        await reopened.merge([tally("v", "oci", { apiRequests: 1 })]);
        expect(await all(reopened)).toEqual({ oci: usage(3, 0, 0) });
      }));
  });
}
