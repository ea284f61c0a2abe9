import { describe, expect, it } from "vitest";
import { ODD_NAMES } from "../odd-names.ts";
import { all, PERIOD, tally, usage, usageOf } from "../sample-tallies.ts";
import type { WithStore } from "./subject.ts";

/** What a store promises of names: of backends, dimensions, writers and periods. */
export function namesContract(name: string, withStore: WithStore): void {
  describe(`${name} keeps names apart`, () => {
    it("keeps periods apart", () =>
      withStore(async (store) => {
        await store.merge([
          { ...tally("w", "oci", { apiRequests: 1 }), period: "2026-01" },
          { ...tally("w", "oci", { apiRequests: 2 }), period: "2026-02" },
        ]);
        expect(await all(store, "2026-01")).toEqual({ oci: usage(1, 0, 0) });
        expect(await all(store, "2026-02")).toEqual({ oci: usage(2, 0, 0) });
      }));

    it("takes every name that a backend may have, and keeps them apart", () =>
      withStore(async (store) => {
        const tallies = ODD_NAMES.map((backend, index) => tally("w", backend, { apiRequests: index + 1 }));
        expect(await store.merge(tallies)).toEqual([]);
        const totals = await usageOf(store);
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
        expect(await usageOf(store)).toEqual(new Map());
      }));

    it("takes every name that a writer and a period may have", () =>
      withStore(async (store) => {
        const tallies = ODD_NAMES.map((odd) => ({ ...tally(odd, "oci", { apiRequests: 1 }), period: odd }));
        expect(await store.merge(tallies)).toEqual([]);
        for (const odd of ODD_NAMES) {
          expect((await store.totals(odd, odd)).usage).toEqual(
            new Map([["oci", { all: usage(1, 0, 0), own: usage(1, 0, 0) }]]),
          );
        }
      }));

    it("keeps dimensions that it was not told of, also one named constructor", () =>
      withStore(async (store) => {
        const odd = tally("w", "oci", { constructor: 3, tokens: 4 });
        expect(await store.merge([odd])).toEqual([]);
        expect(await store.tallies(PERIOD, ["oci"])).toEqual([odd]);
        expect(await store.history({})).toEqual([{ period: PERIOD, backend: "oci", usage: { ...odd.usage } }]);
      }));

    it("tells writers apart whose names begin alike", () =>
      withStore(async (store) => {
        await store.merge(["w", "w.1", "w.1.1", "W"].map((writer) => tally(writer, "oci", { apiRequests: 2 })));
        expect(await usageOf(store)).toEqual(new Map([["oci", { all: usage(8, 0, 0), own: usage(2, 0, 0) }]]));
      }));
  });
}
