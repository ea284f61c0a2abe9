import { describe, expect, it } from "vitest";
import type { RejectedTally, UsageStore } from "../../hops/usage-store.ts";
import { PeriodFoldedError } from "../../model/errors.ts";
import type { Tally } from "../../model/usage.ts";
import { all, tally, usage } from "../sample-tallies.ts";
import type { WithStore } from "./subject.ts";

const DAY_MS = 86_400_000;
const OLD = "2020-01";
const MAX = Number.MAX_SAFE_INTEGER;

/** What a store promises of periods that are folded. */
export function foldContract(name: string, withStore: WithStore): void {
  describe(`${name} folds`, () => {
    it("keeps usage and history as they were, in one row for each backend that no counter can have written", () =>
      withStore(async (store) => {
        await store.merge([
          ...["u", "v", "w"].flatMap((writer, index) => [
            at("2019-12", tally(writer, "oci", { apiRequests: index + 1, tokens: 2 })),
            at(OLD, tally(writer, "oci", { apiRequests: 10 * (index + 1), egressBytes: index })),
            at(OLD, tally(writer, `only-${writer}`, { ingressBytes: index + 1 })),
            at("2020-02", tally(writer, "oci", { apiRequests: index + 1 })),
          ]),
          tally("w", "oci", { apiRequests: 7 }),
        ]);
        const history = await store.history({});
        expect(await store.fold("2020-02")).toEqual(["2019-12", OLD]);
        expect(await store.history({})).toEqual(history);
        expect(await all(store, OLD)).toMatchObject({ oci: usage(60, 3, 0), "only-u": usage(0, 0, 1) });
        expect((await store.totals(OLD, "w", { backends: ["oci"] })).usage.get("oci")).toEqual({
          all: usage(60, 3, 0),
          own: usage(0, 0, 0),
        });
        const [folded, ...others] = await store.tallies("2019-12", ["oci"]);
        expect(folded).toMatchObject({ backend: "oci", usage: { apiRequests: 6, tokens: 6 } });
        expect(others).toEqual([]);
        expect(await store.merge([at("2026-03", folded as Tally)])).toHaveLength(1);
        expect(await store.tallies("2020-02", ["oci"])).toHaveLength(3);
      }));

    it("rejects all that comes late of a folded period, with a reason, and stores the others of that merge", () =>
      withStore(async (store) => {
        const known = at(OLD, tally("w", "oci", { apiRequests: 5 }));
        await store.merge([known, at(OLD, tally("v", "oci", { apiRequests: 6 }))]);
        await store.fold("2020-02");
        const late = [
          known,
          at(OLD, tally("w", "oci", { apiRequests: 9 })),
          at(OLD, tally("new", "oci", { egressBytes: 1 })),
          at(OLD, tally("new", "another", { apiRequests: 1 })),
        ];
        const others = [tally("w", "oci", { apiRequests: 1 }), at("2020-02", tally("w", "oci", { apiRequests: 2 }))];
        const rejected = await store.merge([...late, ...others]);
        expect(new Set(rejected.map((one) => one.tally))).toEqual(new Set(late));
        for (const { reason } of rejected) expect(reason).toBeInstanceOf(PeriodFoldedError);
        expect(rejected[0]?.reason).toMatchObject({ code: "USAGE_PERIOD_FOLDED", period: OLD });
        expect(await all(store, OLD)).toEqual({ oci: usage(11, 0, 0) });
        expect(await all(store)).toEqual({ oci: usage(1, 0, 0) });
        expect(await all(store, "2020-02")).toEqual({ oci: usage(2, 0, 0) });
      }));

    it("stays folded when it is opened again, if it outlives its object, and however often it is folded", () =>
      withStore(async (store, tested) => {
        await store.merge([at(OLD, tally("w", "oci", { apiRequests: 5 }))]);
        expect(await store.fold("2020-02")).toEqual([OLD]);
        expect(await store.fold("2020-03")).toEqual([]);
        const reopened = (await tested.reopen?.()) ?? store;
        expect(await reopened.fold("2020-02")).toEqual([]);
        expect(await reopened.merge([at(OLD, tally("v", "oci", { apiRequests: 1 }))])).toHaveLength(1);
        expect(await all(reopened, OLD)).toEqual({ oci: usage(5, 0, 0) });
      }));

    it("leaves a period open in which nothing is stored: what comes late of it is stored, and folded the next time", () =>
      withStore(async (store) => {
        expect(await store.fold("2020-02")).toEqual([]);
        expect(await store.merge([at(OLD, tally("w", "oci", { apiRequests: 5 }))])).toEqual([]);
        expect(await store.fold("2020-02")).toEqual([OLD]);
        expect(await all(store, OLD)).toEqual({ oci: usage(5, 0, 0) });
      }));

    it("refuses what may still be counted in, and what is no date", () =>
      withStore(async (store) => {
        await store.merge([at(OLD, tally("w", "oci", { apiRequests: 5 }))]);
        const wrong = ["", "2020", "2020-13", "2020-02-30", "2020-1", "2020-02-01T00:00", "9999-01", 5, undefined];
        for (const before of [...wrong, dayBefore(0), dayBefore(39), dayBefore(0).slice(0, 7)]) {
          await expect(store.fold(before as string), String(before)).rejects.toThrow(RangeError);
        }
        await expect(store.fold(dayBefore(39))).rejects.toThrow("40 days ago");
        expect(await store.tallies(OLD, ["oci"])).toEqual([at(OLD, tally("w", "oci", { apiRequests: 5 }))]);
        expect(await store.fold(dayBefore(41))).toEqual([OLD]);
      }));

    it("leaves periods open that are not over for 40 days, though they began before, and those that have no date", () =>
      withStore(async (store) => {
        const before = dayBefore(41);
        // The month began before that day, unless this is its first: it ended after it.
        const periods = [dayBefore(42).slice(0, 7), dayBefore(42), dayBefore(70), "0", "2020", "2020-W07", "2020-99"];
        const young = periods.filter(
          (period) => !/^\d{4}-\d\d$/.test(period) || endOfMonth(period) > Date.now() - 40 * DAY_MS,
        );
        const tallies = young.map((period) => at(period, tally("w", "oci", { apiRequests: 1 })));
        await store.merge([...tallies, at(dayBefore(75), tally("w", "oci", { apiRequests: 1 }))]);
        expect(await store.fold(before)).toEqual([dayBefore(75)]);
        expect(await store.merge(young.map((period) => at(period, tally("v", "oci", { apiRequests: 2 }))))).toEqual([]);
        for (const period of young) expect(await all(store, period)).toEqual({ oci: usage(3, 0, 0) });
      }));

    it("removes folded rows, too, and their period stays folded", () =>
      withStore(async (store) => {
        await store.merge(["oci", "b2"].map((backend) => at(OLD, tally("w", backend, { apiRequests: 5 }))));
        await store.fold("2020-02");
        await store.remove("oci");
        expect(await all(store, OLD)).toEqual({ b2: usage(5, 0, 0) });
        expect(await store.merge([at(OLD, tally("w", "oci", { apiRequests: 5 }))])).toHaveLength(1);
      }));

    it("never lets a sum pass 2^53-1", () =>
      withStore(async (store) => {
        await store.merge(
          ["u", "v", "w"].map((writer) => at(OLD, tally(writer, "oci", { apiRequests: MAX, egressBytes: 1 }))),
        );
        await store.fold("2020-02");
        expect(await all(store, OLD)).toEqual({ oci: usage(MAX, 3, 0) });
      }));

    it("folds thousands of backends and writers", () =>
      withStore(async (store) => {
        const tallies = Array.from({ length: 4_000 }, (_, index) => [
          at(OLD, tally(`w-${index % 3}`, `backend-${index}`, { apiRequests: index + 1 })),
          at(OLD, tally(`v-${index}`, "oci", { apiRequests: 1 })),
        ]).flat();
        await store.merge(tallies);
        const before = await store.history({});
        await store.fold("2020-02");
        expect(await store.history({})).toEqual(before);
        expect(
          await store.tallies(
            OLD,
            before.map(({ backend }) => backend),
          ),
        ).toHaveLength(4_001);
      }));

    it("is exact while four writers go on to store: all of a tally is in the sum, or it is refused", () =>
      withStore(async (store) => {
        for (const period of ["2020-01", "2020-02", "2020-03"]) {
          const writers = ["a", "b", "c", "d"].map((writer) => writeUntilRefused(store, period, writer));
          // However far they are.
          while ((await store.tallies(period, ["oci"])).length < 4) await new Promise(setImmediate);
          await Promise.all([store.fold("2020-04"), store.fold("2020-04")]);
          const stored = (await Promise.all(writers)).reduce((sum, amount) => sum + amount, 0);
          expect(await all(store, period)).toEqual({ oci: usage(stored, 0, 0) });
        }
      }));
  });
}

/** What of it the store has taken. */
async function writeUntilRefused(store: UsageStore, period: string, writer: string): Promise<number> {
  let rejected: readonly RejectedTally[] = [];
  let amount = 0;
  do {
    amount += 1;
    rejected = await store.merge([at(period, tally(writer, "oci", { apiRequests: amount }))]);
  } while (rejected.length === 0);
  return amount - 1;
}

function at(period: string, one: Tally): Tally {
  return { ...one, period };
}

/** So many days ago. */
function dayBefore(days: number): string {
  return new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10);
}

function endOfMonth(month: string): number {
  const date = new Date(month);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
