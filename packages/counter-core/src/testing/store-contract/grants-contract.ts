import { describe, expect, it } from "vitest";
import type { UsageStore } from "../../hops/usage-store.ts";
import { AmountError, NameError } from "../../model/errors.ts";
import type { Grant } from "../../model/grant.ts";
import { ODD_NAMES } from "../odd-names.ts";
import { PERIOD, tally } from "../sample-tallies.ts";
import type { WithStore } from "./subject.ts";

const GRANT: Grant = {
  period: PERIOD,
  backend: "oci",
  id: "ticket-4711",
  amounts: { apiRequests: 5_000, egressBytes: Number.MAX_SAFE_INTEGER },
  reason: "an outage of ours",
  by: "ada@example.com",
};

/** A store that keeps grants. */
type Granting = UsageStore & Required<Pick<UsageStore, "grant" | "grants">>;

/** What a store promises of grants, where it has `grant`. */
export function grantsContract(name: string, withStore: WithStore): void {
  const withGrants = (work: (store: Granting, reopen: () => Promise<Granting>) => Promise<void>) =>
    withStore(async (store, tested) => {
      if (!keepsGrants(store)) return;
      await work(store, async () => {
        const reopened = (await tested.reopen?.()) ?? store;
        if (!keepsGrants(reopened)) throw new Error("the store has no grant once it is opened again");
        return reopened;
      });
    });

  describe(`${name} keeps grants`, () => {
    it("stores a grant once, with its trail, also where the reply was lost, or the store is opened again", () =>
      withGrants(async (store, reopen) => {
        expect(await store.grants()).toEqual([]);
        const { isNew, grant } = await store.grant(GRANT);
        expect([isNew, grant]).toEqual([true, { ...GRANT, createdAt: expect.any(Number) }]);
        expect(Math.abs(grant.createdAt - Date.now())).toBeLessThan(3_600_000);
        expect(await store.grant(GRANT)).toEqual({ isNew: false, grant });
        const other: Grant = { ...GRANT, amounts: { apiRequests: 1 }, reason: "another one", by: "bob" };
        expect(await store.grant(other)).toEqual({ isNew: false, grant });
        const reopened = await reopen();
        expect(await reopened.grant(GRANT)).toEqual({ isNew: false, grant });
        expect(await reopened.grants({ period: PERIOD })).toEqual([grant]);
      }));

    it("tells grants apart by period, backend and id, and returns those that are asked for, the earliest first", () =>
      withGrants(async (store) => {
        const { by: _, ...anonymous } = GRANT;
        const grants: readonly Grant[] = [
          GRANT,
          { ...anonymous, id: "ticket-4712", amounts: { tokens: 1 } },
          { ...GRANT, backend: "b2" },
          { ...GRANT, period: "2026-02" },
        ];
        const stored: unknown[] = [];
        for (const grant of grants) {
          const receipt = await store.grant(grant);
          expect(receipt.isNew).toBe(true);
          stored.push(receipt.grant);
        }
        const [first, second, third, last] = stored;
        expect(await store.grants({})).toEqual(expect.arrayContaining(stored));
        expect(await store.grants({ backend: "b2" })).toEqual([third]);
        expect(await store.grants({ period: "2026-02" })).toEqual([last]);
        expect(await store.grants({ period: PERIOD, backend: "oci" })).toEqual(expect.arrayContaining([first, second]));
        expect(await store.grants({ period: PERIOD, backend: "oci" })).toHaveLength(2);
        expect(await store.grants({ period: "2025-12" })).toEqual([]);
        const times = (await store.grants()).map(({ createdAt }) => createdAt);
        expect(times).toEqual([...times].sort((a, b) => a - b));
      }));

    it("returns what was stored at an instant or later", () =>
      withGrants(async (store) => {
        const { grant: first } = await store.grant(GRANT);
        await new Promise((resolve) => setTimeout(resolve, 20));
        const { grant: second } = await store.grant({ ...GRANT, id: "later" });
        expect(await store.grants({ since: first.createdAt })).toEqual([first, second]);
        expect(await store.grants({ since: first.createdAt + 1 })).toEqual([second]);
        expect(await store.grants({ since: second.createdAt, backend: "oci", period: PERIOD })).toEqual([second]);
        expect(await store.grants({ since: second.createdAt + 1_000 })).toEqual([]);
      }));

    it("takes one of many that grant under the same id at once, and tells all others which", () =>
      withGrants(async (store) => {
        const receipts = await Promise.all(
          Array.from({ length: 20 }, (_, index) => store.grant({ ...GRANT, amounts: { apiRequests: index + 1 } })),
        );
        const stored = await store.grants();
        expect(stored).toHaveLength(1);
        expect(receipts.filter(({ isNew }) => isNew)).toHaveLength(1);
        for (const { grant } of receipts) expect(grant).toEqual(stored[0]);
        const index = receipts.findIndex(({ isNew }) => isNew);
        expect(stored[0]?.amounts).toEqual({ apiRequests: index + 1 });
      }));

    it("keeps odd names, ids and texts apart, and as they are", () =>
      withGrants(async (store) => {
        const amounts = { constructor: 3, apiRequests: 1 };
        const grants = ODD_NAMES.map(
          (odd): Grant => ({ period: odd, backend: odd, id: odd, reason: odd, by: odd, amounts }),
        );
        for (const grant of grants) expect((await store.grant(grant)).isNew).toBe(true);
        for (const grant of grants) {
          expect(await store.grants({ backend: grant.backend })).toEqual([{ ...grant, createdAt: expect.any(Number) }]);
        }
        const long = "x".repeat(1_000);
        expect((await store.grant({ ...GRANT, reason: long })).grant.reason).toBe(long);
      }));

    it("refuses what is no grant, says which part, and stores nothing", () =>
      withGrants(async (store) => {
        const texts = ["", "a\nb", "\ud800", "x".repeat(1_001), 5, null];
        for (const value of texts) {
          const text = value as string;
          for (const field of ["period", "id", "reason", "by"]) {
            const wrong = { ...GRANT, [field]: text };
            await expect(store.grant(wrong), `${field} ${String(value)}`).rejects.toThrow(`a grant's ${field} must be`);
          }
          await expect(store.grant({ ...GRANT, backend: text })).rejects.toThrow(NameError);
        }
        for (const amount of [0, -1, 0.5, Number.NaN, 2 ** 53, "5", null]) {
          const amounts = { egressBytes: 1, apiRequests: amount as number };
          await expect(store.grant({ ...GRANT, amounts })).rejects.toThrow(AmountError);
        }
        await expect(store.grant({ ...GRANT, amounts: {} })).rejects.toThrow("a grant's amounts must have one");
        await expect(store.grant({ ...GRANT, amounts: { "no name": 1 } })).rejects.toThrow(NameError);
        const list = [1] as unknown as Grant["amounts"];
        await expect(store.grant({ ...GRANT, amounts: list })).rejects.toThrow("a grant's amounts must be an object");
        expect(await store.grants()).toEqual([]);
      }));

    it("removes a backend's grants with it, in every period, and no other; they are no usage, and stay where it is folded", () =>
      withGrants(async (store) => {
        const old: Grant = { ...GRANT, period: "2020-01" };
        for (const grant of [GRANT, old, { ...GRANT, backend: "oci2" }]) await store.grant(grant);
        expect(await store.history({})).toEqual([]);
        await store.merge([{ ...tally("w", "oci", { apiRequests: 5 }), period: "2020-01" }]);
        await store.fold("2020-03");
        expect(await store.grants({ backend: "oci" })).toHaveLength(2);
        await store.remove("oci");
        expect((await store.grants()).map(({ backend }) => backend)).toEqual(["oci2"]);
        expect((await store.grant(old)).isNew).toBe(true);
      }));
  });
}

function keepsGrants(store: UsageStore): store is Granting {
  return store.grant !== undefined && store.grants !== undefined;
}
