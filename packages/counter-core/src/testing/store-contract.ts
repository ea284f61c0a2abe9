import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RejectedTally, STORAGE_DIMENSIONS, type Tally, type UsageStore } from "../index.ts";
import { ODD_NAMES } from "./odd-names.ts";
import { maximaSummed, randomFrom, randomSchedule, randomTallies } from "./random-tallies.ts";
import { all, many, PERIOD, tally, usage } from "./sample-tallies.ts";

/** A store to test, and what belongs to it. */
export interface StoreUnderTest {
  /** Empty, with the default dimensions. */
  readonly store: UsageStore;
  /** For stores that outlive their object: closes `store` and opens another one on the same data. */
  reopen?(): Promise<UsageStore>;
  /** Closes and deletes all of it. */
  dispose(): Promise<void>;
}

export interface StoreContractOptions {
  /** Makes an empty store. Called for each test. */
  create(): Promise<StoreUnderTest>;
  /** How many random schedules the laws are tried on. @default 10 */
  readonly schedules?: number;
}

const MAX = Number.MAX_SAFE_INTEGER;

/** What every `UsageStore` promises, as vitest tests. */
export function usageStoreContract(name: string, options: StoreContractOptions): void {
  const { create, schedules = 10 } = options;

  describe(`${name} keeps the UsageStore contract`, () => {
    let tested: StoreUnderTest;
    let store: UsageStore;

    beforeEach(async () => {
      tested = await create();
      store = tested.store;
    });
    afterEach(() => tested.dispose());

    it("is empty at first", async () => {
      expect(await store.totals(PERIOD, "w")).toEqual(new Map());
      expect(await store.tallies(PERIOD, ["oci"])).toEqual([]);
      expect(await store.history({})).toEqual([]);
    });

    it("says which dimensions its totals have, and its totals have them all", async () => {
      expect([...store.dimensions].sort()).toEqual([...STORAGE_DIMENSIONS].sort());
      await store.merge([tally("w", "oci", { apiRequests: 1 })]);
      for (const { all, own } of (await store.totals(PERIOD, "w")).values()) {
        expect(Object.keys(all).sort()).toEqual([...store.dimensions].sort());
        expect(Object.keys(own).sort()).toEqual([...store.dimensions].sort());
      }
    });

    it("keeps what was merged, and answers zero for a dimension that was not", async () => {
      expect(await store.merge([tally("w", "oci", { apiRequests: 2, egressBytes: 5 })])).toEqual([]);
      expect(await all(store)).toEqual({ oci: usage(2, 5, 0) });
    });

    it("takes an empty merge", async () => {
      expect(await store.merge([])).toEqual([]);
      expect(await all(store)).toEqual({});
    });

    it("counts a tally once, however often it is merged", async () => {
      const tallies = [tally("w", "oci", { apiRequests: 2 }), tally("v", "oci", { apiRequests: 3 })];
      for (let times = 0; times < 3; times++) await store.merge(tallies);
      expect(await all(store)).toEqual({ oci: usage(5, 0, 0) });
    });

    it("takes the larger amount of each dimension by itself", async () => {
      await store.merge([tally("w", "oci", { apiRequests: 5, egressBytes: 10 })]);
      await store.merge([tally("w", "oci", { apiRequests: 9, egressBytes: 1, ingressBytes: 4 })]);
      expect(await all(store)).toEqual({ oci: usage(9, 10, 4) });
    });

    it("is not lowered by a smaller, an empty or a zero tally", async () => {
      await store.merge([tally("w", "oci", { apiRequests: 9 })]);
      await store.merge([tally("w", "oci", { apiRequests: 8 })]);
      await store.merge([tally("w", "oci", {}), tally("w", "oci", { apiRequests: 0 })]);
      expect(await all(store)).toEqual({ oci: usage(9, 0, 0) });
    });

    it("takes the larger when one merge has the same tally twice", async () => {
      await store.merge([1, 7, 3].map((amount) => tally("w", "oci", { apiRequests: amount })));
      expect(await all(store)).toEqual({ oci: usage(7, 0, 0) });
    });

    it("answers the sum over writers and the asking writer's part of it", async () => {
      await store.merge([
        tally("w", "oci", { apiRequests: 5 }),
        tally("v", "oci", { apiRequests: 6, ingressBytes: 1 }),
      ]);
      expect(await store.totals(PERIOD, "w")).toEqual(
        new Map([["oci", { all: usage(11, 0, 1), own: usage(5, 0, 0) }]]),
      );
    });

    it("answers zero as the part of a writer that it does not know", async () => {
      await store.merge([tally("w", "oci", { apiRequests: 5 })]);
      expect((await store.totals(PERIOD, "nobody")).get("oci")?.own).toEqual(usage(0, 0, 0));
    });

    it("tells writers apart whose names begin alike", async () => {
      await store.merge(["w", "w.1", "w.1.1", "W"].map((writer) => tally(writer, "oci", { apiRequests: 2 })));
      expect(await store.totals(PERIOD, "w")).toEqual(new Map([["oci", { all: usage(8, 0, 0), own: usage(2, 0, 0) }]]));
    });

    it("never mixes an instant of the sum with another instant of the part", async () => {
      const writing = (async () => {
        for (let amount = 1; amount <= 40; amount++) await store.merge([tally("w", "oci", { apiRequests: amount })]);
      })();
      for (let reads = 0; reads < 40; reads++) {
        const stored = (await store.totals(PERIOD, "w")).get("oci");
        expect(stored?.own).toEqual(stored?.all);
      }
      await writing;
    });

    it("keeps periods apart", async () => {
      await store.merge([
        { ...tally("w", "oci", { apiRequests: 1 }), period: "2026-01" },
        { ...tally("w", "oci", { apiRequests: 2 }), period: "2026-02" },
      ]);
      expect(await all(store, "2026-01")).toEqual({ oci: usage(1, 0, 0) });
      expect(await all(store, "2026-02")).toEqual({ oci: usage(2, 0, 0) });
    });

    it("takes every name that a backend may have, and keeps them apart", async () => {
      const tallies = ODD_NAMES.map((backend, index) => tally("w", backend, { apiRequests: index + 1 }));
      expect(await store.merge(tallies)).toEqual([]);
      const totals = await store.totals(PERIOD, "w");
      const expected = new Map(ODD_NAMES.map((backend, index) => [backend, index + 1]));
      expect(new Map(Array.from(totals, ([backend, stored]) => [backend, stored.all.apiRequests]))).toEqual(expected);
      const rows = await store.tallies(PERIOD, ODD_NAMES);
      expect(new Map(rows.map((row) => [row.backend, row.usage.apiRequests]))).toEqual(expected);
      for (const backend of ODD_NAMES) {
        expect(await store.history({ backend })).toEqual([
          { period: PERIOD, backend, usage: { apiRequests: expected.get(backend) } },
        ]);
      }
      for (const backend of ODD_NAMES) await store.remove(backend);
      expect(await store.totals(PERIOD, "w")).toEqual(new Map());
    });

    it("takes every name that a writer and a period may have", async () => {
      const tallies = ODD_NAMES.map((odd) => ({ ...tally(odd, "oci", { apiRequests: 1 }), period: odd }));
      expect(await store.merge(tallies)).toEqual([]);
      for (const odd of ODD_NAMES) {
        expect(await store.totals(odd, odd)).toEqual(new Map([["oci", { all: usage(1, 0, 0), own: usage(1, 0, 0) }]]));
      }
    });

    it("keeps dimensions that it was not told of, also one named constructor", async () => {
      const odd = tally("w", "oci", { constructor: 3, tokens: 4 });
      expect(await store.merge([odd])).toEqual([]);
      expect(await store.tallies(PERIOD, ["oci"])).toEqual([odd]);
      expect(await store.history({})).toEqual([{ period: PERIOD, backend: "oci", usage: { ...odd.usage } }]);
    });

    it("keeps 2^53-1 exactly, and no sum passes it", async () => {
      await store.merge([tally("w", "oci", { apiRequests: MAX, egressBytes: MAX - 1 })]);
      expect(await all(store)).toEqual({ oci: usage(MAX, MAX - 1, 0) });
      await store.merge(Array.from({ length: 1100 }, (_, v) => tally(`v${v}`, "oci", { apiRequests: MAX })));
      expect(await all(store)).toEqual({ oci: usage(MAX, MAX - 1, 0) });
      expect((await store.history({}))[0]?.usage.apiRequests).toBe(MAX);
    });

    it("rejects tallies that can never be stored, with a reason, and stores the others", async () => {
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
    });

    it("answers the rows of the asked backends, of all writers", async () => {
      const asked = [
        tally("w", "oci", { apiRequests: 1, egressBytes: 2 }),
        tally("v", "oci", { apiRequests: 3 }),
        tally("w", "b2", { ingressBytes: 4 }),
      ];
      await store.merge([...asked, tally("w", "other", { apiRequests: 9 })]);
      await store.merge([{ ...tally("w", "oci", { apiRequests: 9 }), period: "2026-02" }]);
      const rows = await store.tallies(PERIOD, ["oci", "b2", "oci", "unknown"]);
      expect(rows).toHaveLength(asked.length);
      expect(rows).toEqual(expect.arrayContaining(asked));
      expect(await store.tallies(PERIOD, [])).toEqual([]);
    });

    it("answers the history by period and then by backend, both in the order of their bytes", async () => {
      const periods = ["2026-02", "2025-12", "2026-01-31", "2026-01"];
      const backends = ["b", "B", "a", "é", "_", "A", "a b", "ab"];
      await store.merge(
        periods.flatMap((period) => backends.map((name) => ({ ...tally("w", name, { apiRequests: 1 }), period }))),
      );
      const keys = (await store.history({})).map(({ period, backend }) => [period, backend]);
      const ordered = [...periods].sort().flatMap((period) => [...backends].sort().map((backend) => [period, backend]));
      expect(keys).toEqual(ordered);
    });

    it("answers the history of one backend, from a period to a period, both included, over all writers", async () => {
      const periods = ["2025-12", "2026-01", "2026-02", "2026-03"];
      await store.merge(
        periods.flatMap((period, index) => [
          { ...tally("w", "oci", { apiRequests: index }), period },
          { ...tally("v", "oci", { apiRequests: 10 }), period },
          { ...tally("w", "b2", { apiRequests: 1 }), period },
        ]),
      );
      expect(await store.history({ backend: "oci", from: "2026-01", to: "2026-02" })).toEqual([
        { period: "2026-01", backend: "oci", usage: { apiRequests: 11 } },
        { period: "2026-02", backend: "oci", usage: { apiRequests: 12 } },
      ]);
      expect(await store.history({ from: "2026-03" })).toHaveLength(2);
      expect(await store.history({ to: "2025-12" })).toHaveLength(2);
      expect(await store.history({ backend: "b2" })).toHaveLength(4);
      expect(await store.history({ from: "2026-02", to: "2026-01" })).toEqual([]);
      expect(await store.history({ backend: "unknown" })).toEqual([]);
    });

    it("removes a backend in every period, and no other", async () => {
      await store.merge([
        tally("w", "oci", { apiRequests: 1 }),
        { ...tally("v", "oci", { apiRequests: 1 }), period: "2026-02" },
        tally("w", "oci2", { apiRequests: 2 }),
      ]);
      await store.remove("oci");
      await store.remove("unknown");
      expect((await store.history({})).map(({ backend }) => backend)).toEqual(["oci2"]);
      await store.merge([tally("w", "oci", { apiRequests: 1 })]);
      expect(await all(store)).toEqual({ oci: usage(1, 0, 0), oci2: usage(2, 0, 0) });
    });

    it("rejects with the reason of a signal that is aborted before or while it merges", async () => {
      const reason = new Error("shutting down");
      await expect(store.merge([tally("w", "oci", {})], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      const controller = new AbortController();
      const merging = store.merge(many(5_000), { signal: controller.signal });
      controller.abort(reason);
      await expect(merging).rejects.toBe(reason);
      expect(await store.merge(many(5_000), { signal: new AbortController().signal })).toEqual([]);
      expect((await store.totals(PERIOD, "w")).size).toBe(5_000);
    });

    it("takes many backends and many writers, and answers all of them", async () => {
      const tallies = [
        ...many(3_000),
        ...Array.from({ length: 3_000 }, (_, v) => tally(`v${v}`, "oci", { apiRequests: 1 })),
      ];
      expect(await store.merge(tallies)).toEqual([]);
      const totals = await store.totals(PERIOD, "w");
      expect(totals.size).toBe(3_001);
      expect(totals.get("oci")).toEqual({ all: usage(3_000, 0, 0), own: usage(0, 0, 0) });
      expect(totals.get("backend-2999")).toEqual({ all: usage(3_000, 1, 0), own: usage(3_000, 1, 0) });
      expect(await store.tallies(PERIOD, [...totals.keys()])).toHaveLength(6_000);
      expect(await store.history({})).toHaveLength(3_001);
    });

    it("takes four merges at once, of the same and of other tallies", async () => {
      const shared = many(500);
      await Promise.all([0, 1, 2, 3].map((caller) => store.merge([...shared, ...many(500, `writer-${caller}`)])));
      const totals = await store.totals(PERIOD, "w");
      expect(totals.size).toBe(500);
      for (const [backend, stored] of totals) {
        const amount = Number(backend.slice("backend-".length)) + 1;
        expect(stored).toEqual({ all: usage(5 * amount, 5, 0), own: usage(amount, 1, 0) });
      }
    });

    it("ends alike whatever the order, the grouping and the repetitions of its merges", async () => {
      for (let seed = 1; seed <= schedules; seed++) {
        const random = randomFrom(seed);
        const period = `seed-${seed}`;
        const tallies = randomTallies(random, period);
        for (const schedule of randomSchedule(random, tallies)) await store.merge(schedule);
        expect(await all(store, period), `seed ${seed}`).toEqual(maximaSummed(tallies));
      }
    });

    it("keeps what it merged when it is opened again, if it outlives its object", async () => {
      await store.merge([tally("w", "oci", { apiRequests: 2 })]);
      const reopened = (await tested.reopen?.()) ?? store;
      await reopened.merge([tally("v", "oci", { apiRequests: 1 })]);
      expect(await all(reopened)).toEqual({ oci: usage(3, 0, 0) });
    });
  });
}
