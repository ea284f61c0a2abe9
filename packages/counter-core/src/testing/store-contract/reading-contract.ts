import { describe, expect, it } from "vitest";
import { STORAGE_DIMENSIONS } from "../../model/usage.ts";
import { all, PERIOD, tally, usage, usageOf } from "../sample-tallies.ts";
import type { WithStore } from "./subject.ts";

/** What a store promises of what is read from it. */
export function readingContract(name: string, withStore: WithStore): void {
  describe(`${name} tells what it has`, () => {
    it("is empty at first", () =>
      withStore(async (store) => {
        expect(await usageOf(store)).toEqual(new Map());
        expect(await store.tallies(PERIOD, ["oci"])).toEqual([]);
        expect(await store.history({})).toEqual([]);
      }));

    it("says which dimensions its totals have, and its totals have them all", () =>
      withStore(async (store) => {
        expect([...store.dimensions].sort()).toEqual([...STORAGE_DIMENSIONS].sort());
        await store.merge([tally("w", "oci", { apiRequests: 1 })]);
        for (const { all, own } of (await usageOf(store)).values()) {
          expect(Object.keys(all).sort()).toEqual([...store.dimensions].sort());
          expect(Object.keys(own).sort()).toEqual([...store.dimensions].sort());
        }
      }));

    it("answers the sum over writers and the asking writer's part of it", () =>
      withStore(async (store) => {
        await store.merge([
          tally("w", "oci", { apiRequests: 5 }),
          tally("v", "oci", { apiRequests: 6, ingressBytes: 1 }),
        ]);
        expect(await usageOf(store)).toEqual(new Map([["oci", { all: usage(11, 0, 1), own: usage(5, 0, 0) }]]));
      }));

    it("answers zero as the part of a writer that it does not know", () =>
      withStore(async (store) => {
        await store.merge([tally("w", "oci", { apiRequests: 5 })]);
        expect((await usageOf(store, "nobody")).get("oci")?.own).toEqual(usage(0, 0, 0));
      }));

    it("never mixes an instant of the sum with another instant of the part", () =>
      withStore(async (store) => {
        const writing = (async () => {
          for (let amount = 1; amount <= 40; amount++) await store.merge([tally("w", "oci", { apiRequests: amount })]);
        })();
        for (let reads = 0; reads < 40; reads++) {
          const stored = (await usageOf(store)).get("oci");
          expect(stored?.own).toEqual(stored?.all);
        }
        await writing;
      }));

    it("answers the rows of the asked backends, of all writers", () =>
      withStore(async (store) => {
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
      }));

    it("answers the history by period and then by backend, both in the order of their bytes", () =>
      withStore(async (store) => {
        const periods = ["2026-02", "2025-12", "2026-01-31", "2026-01"];
        const backends = ["b", "B", "a", "é", "_", "A", "a b", "ab"];
        await store.merge(
          periods.flatMap((period) => backends.map((name) => ({ ...tally("w", name, { apiRequests: 1 }), period }))),
        );
        const keys = (await store.history({})).map(({ period, backend }) => [period, backend]);
        const ordered = [...periods]
          .sort()
          .flatMap((period) => [...backends].sort().map((backend) => [period, backend]));
        expect(keys).toEqual(ordered);
      }));

    it("answers the history of one backend, from a period to a period, both included, over all writers", () =>
      withStore(async (store) => {
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
      }));

    it("removes a backend in every period, and no other", () =>
      withStore(async (store) => {
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
      }));
  });
}
