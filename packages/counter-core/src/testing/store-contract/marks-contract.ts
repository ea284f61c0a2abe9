import { describe, expect, it } from "vitest";
import type { UsageStore } from "../../hops/usage-store.ts";
import { NameError } from "../../model/errors.ts";
import type { Mark } from "../../model/mark.ts";
import { ODD_NAMES } from "../odd-names.ts";
import { randomFrom } from "../random-tallies.ts";
import { PERIOD, tally } from "../sample-tallies.ts";
import type { WithStore } from "./subject.ts";

const OPENED: Mark = { period: PERIOD, mark: "opened" };
const OF_BACKEND: Mark = { ...OPENED, backend: "oci" };
const OF_DIMENSION: Mark = { ...OF_BACKEND, dimension: "apiRequests" };

/** A store that keeps marks. */
type Claiming = UsageStore & Required<Pick<UsageStore, "claim">>;

/** What a store promises of marks, where it has `claim`. */
export function marksContract(name: string, withStore: WithStore): void {
  const withMarks = (work: (store: Claiming, reopen: () => Promise<Claiming>) => Promise<void>) =>
    withStore(async (store, tested) => {
      if (!keepsMarks(store)) return;
      await work(store, async () => {
        const reopened = (await tested.reopen?.()) ?? store;
        if (!keepsMarks(reopened)) throw new Error("the store has no claim once it is opened again");
        return reopened;
      });
    });

  describe(`${name} keeps marks`, () => {
    it("tells a mark as new once, also where the reply was lost, or the store is opened again", () =>
      withMarks(async (store, reopen) => {
        expect(await store.claim([])).toEqual([]);
        expect(await store.claim([OPENED, OF_BACKEND])).toEqual([OPENED, OF_BACKEND]);
        expect(await store.claim([OPENED, OF_BACKEND])).toEqual([]);
        const later = { ...OPENED, mark: "later" };
        const reopened = await reopen();
        expect(await reopened.claim([later, OF_BACKEND, OPENED])).toEqual([later]);
      }));

    it("tells marks apart by each of their fields, and those of no backend or dimension from all others", () =>
      withMarks(async (store) => {
        const marks: readonly Mark[] = [
          OF_DIMENSION,
          { ...OF_DIMENSION, mark: "closed" },
          { ...OF_DIMENSION, dimension: "egressBytes" },
          { ...OF_DIMENSION, backend: "b2" },
          { ...OF_DIMENSION, period: "2026-02" },
          OPENED,
          OF_BACKEND,
          { ...OPENED, dimension: "apiRequests" },
        ];
        expect(await store.claim([...marks].reverse())).toEqual([...marks].reverse());
        expect(await store.claim(marks)).toEqual([]);
      }));

    it("tells of the same mark the first, where one claim has it twice", () =>
      withMarks(async (store) => {
        const claimed = await store.claim([OPENED, OF_BACKEND, { ...OPENED }]);
        expect(claimed).toEqual([OPENED, OF_BACKEND]);
        expect(claimed[0]).toBe(OPENED);
      }));

    it("tells exactly one of many who claim a mark at once that it is new, whatever else they claim in whatever order", () =>
      withMarks(async (store) => {
        const random = randomFrom(1);
        const marks = Array.from({ length: 100 }, (_, index): Mark => ({ ...OF_BACKEND, mark: `${index}` }));
        const claims = await Promise.all(
          Array.from({ length: 30 }, () => store.claim(marks.filter(() => random() < 0.5).sort(() => random() - 0.5))),
        );
        const claimed = [...claims.flat(), ...(await store.claim(marks))].map(({ mark }) => mark);
        expect(claimed).toHaveLength(marks.length);
        expect(new Set(claimed)).toEqual(new Set(marks.map(({ mark }) => mark)));
      }));

    it("keeps thousands of marks, and odd ones", () =>
      withMarks(async (store) => {
        const odd = ODD_NAMES.flatMap((name): readonly Mark[] => [
          { period: name, mark: name },
          { period: PERIOD, backend: name, mark: name },
        ]);
        const marks = [...Array.from({ length: 5_000 }, (_, index) => ({ ...OF_BACKEND, mark: `${index}%` })), ...odd];
        expect(await store.claim(marks)).toEqual(marks);
        expect(await store.claim(marks)).toEqual([]);
      }));

    it("refuses what is no mark, and then claims none", () =>
      withMarks(async (store) => {
        const wrong = ["", "a\nb", "\ud800", "x".repeat(257), 5, null];
        for (const value of wrong) {
          const text = value as string;
          await expect(store.claim([OPENED, { ...OPENED, mark: text }]), String(value)).rejects.toThrow(
            "a mark's mark",
          );
          await expect(store.claim([OPENED, { ...OPENED, period: text }])).rejects.toThrow("a mark's period");
          await expect(store.claim([OPENED, { ...OPENED, backend: text }])).rejects.toThrow(NameError);
          await expect(store.claim([OPENED, { ...OPENED, dimension: text }])).rejects.toThrow(NameError);
        }
        expect(await store.claim([OPENED])).toEqual([OPENED]);
      }));

    it("removes a backend's marks with it, in every period, and no other", () =>
      withMarks(async (store) => {
        await store.merge([tally("w", "oci", { apiRequests: 1 })]);
        const own: readonly Mark[] = [OF_BACKEND, OF_DIMENSION, { ...OF_BACKEND, period: "2026-02" }];
        const others: readonly Mark[] = [OPENED, { ...OPENED, mark: "oci" }, { ...OF_BACKEND, backend: "oci2" }];
        await store.claim([...own, ...others]);
        await store.remove("oci");
        expect(await store.claim([...others, ...own])).toEqual(own);
      }));

    it("keeps them where their period is folded, and takes new ones; they are no usage", () =>
      withMarks(async (store) => {
        const old: Mark = { ...OF_DIMENSION, period: "2020-01" };
        const empty: Mark = { ...old, period: "2020-02" };
        const late: Mark = { ...old, mark: "late" };
        await store.claim([old, empty]);
        expect(await store.history({})).toEqual([]);
        await store.merge([{ ...tally("w", "oci", { apiRequests: 5 }), period: "2020-01" }]);
        expect(await store.fold("2020-03")).toEqual(["2020-01"]);
        expect(await store.claim([old, empty, late])).toEqual([late]);
        expect(await store.history({})).toEqual([{ period: "2020-01", backend: "oci", usage: { apiRequests: 5 } }]);
      }));
  });
}

function keepsMarks(store: UsageStore): store is Claiming {
  return store.claim !== undefined;
}
