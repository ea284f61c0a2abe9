import { describe, expect, it } from "vitest";
import type { UsageStore } from "../../hops/usage-store.ts";
import type { Change } from "../../model/change.ts";
import type { WithStore } from "./subject.ts";

const CHANGE: Change = { subject: "backend oci", setting: "limits", value: '{"apiRequests":5}', before: "{}" };

/** A store that keeps changes of settings. */
type Settings = UsageStore & Required<Pick<UsageStore, "change" | "changes">>;

/** What a store promises of changes of settings, where it has `change`. */
export function settingsContract(name: string, withStore: WithStore): void {
  const withChanges = (work: (store: Settings, reopen: () => Promise<Settings>) => Promise<void>) =>
    withStore(async (store, tested) => {
      if (!keepsChanges(store)) return;
      await work(store, async () => {
        const reopened = (await tested.reopen?.()) ?? store;
        if (!keepsChanges(reopened)) throw new Error("the store has no changes once it is opened again");
        return reopened;
      });
    });

  describe(`${name} keeps changes of settings`, () => {
    it("keeps each under the next revision, with who changed it, why and when", () =>
      withChanges(async (store, reopen) => {
        expect(await store.changes()).toEqual([]);
        const first = await store.change({ ...CHANGE, by: "ops 🪣", reason: 'it\'s "more"' });
        expect(first).toEqual({
          ...CHANGE,
          by: "ops 🪣",
          reason: 'it\'s "more"',
          revision: 1,
          createdAt: expect.any(Number),
        });
        expect(Math.abs((first?.createdAt ?? 0) - Date.now())).toBeLessThan(3_600_000);
        const back: Change = { ...CHANGE, subject: "backend b2", value: null, before: null };
        expect(await store.change(back)).toEqual({ ...back, revision: 2, createdAt: expect.any(Number) });
        const again = await reopen();
        expect(await again.changes()).toEqual([first, { ...back, revision: 2, createdAt: expect.any(Number) }]);
        expect((await again.changes({ after: 1 })).map(({ revision }) => revision)).toEqual([2]);
        expect(await again.changes({ after: 2 })).toEqual([]);
      }));

    it("takes a change only where it follows the last one of its setting", () =>
      withChanges(async (store) => {
        expect(await store.change({ ...CHANGE, follows: 1 })).toBeUndefined();
        expect(await store.change({ ...CHANGE, follows: 0 })).toMatchObject({ revision: 1 });
        expect(await store.change({ ...CHANGE, setting: "thresholds", follows: 0 })).toMatchObject({ revision: 2 });
        expect(await store.change({ ...CHANGE, subject: "backend b2", follows: 0 })).toMatchObject({ revision: 3 });
        expect(await store.change({ ...CHANGE, follows: 0 })).toBeUndefined();
        expect(await store.change({ ...CHANGE, follows: 3 })).toBeUndefined();
        expect(await store.change({ ...CHANGE, follows: 1 })).toMatchObject({ revision: 4 });
        expect(await store.change(CHANGE)).toMatchObject({ revision: 5 });
        expect(await store.changes()).toHaveLength(5);
      }));

    it("takes one of those that follow the same, and all that follow any, each under a revision of its own", () =>
      withChanges(async (store) => {
        const rivals = Array.from({ length: 8 }, (_, index) => ({ ...CHANGE, value: `${index}`, follows: 0 }));
        const taken = await Promise.all(rivals.map((change) => store.change(change)));
        expect(taken.filter((change) => change !== undefined)).toHaveLength(1);
        const all = Array.from({ length: 8 }, (_, index) => ({ ...CHANGE, setting: `s${index}` }));
        await Promise.all(all.map((change) => store.change(change)));
        expect((await store.changes()).map(({ revision }) => revision)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      }));

    it("keeps the last one alone of those that replace what was before them, also of many at once", () =>
      withChanges(async (store, reopen) => {
        const news: Change = { ...CHANGE, subject: "grants", setting: "grant", replaces: true };
        const { replaces: _, ...kept } = news;
        const revisions = async (after = 0) => (await store.changes({ after })).map(({ revision }) => revision);
        await store.change(CHANGE);
        expect(await store.change(news)).toEqual({ ...kept, revision: 2, createdAt: expect.any(Number) });
        await store.change({ ...kept, setting: "other" });
        expect(await store.change({ ...news, follows: 1 })).toBeUndefined();
        expect(await revisions()).toEqual([1, 2, 3]);
        expect(await store.change({ ...news, follows: 2 })).toMatchObject({ revision: 4 });
        expect([await revisions(), await revisions(2)]).toEqual([
          [1, 3, 4],
          [3, 4],
        ]);
        await Promise.all(Array.from({ length: 8 }, () => store.change(news)));
        expect(await revisions()).toEqual([1, 3, 12]);
        expect((await (await reopen()).change(news))?.revision).toBe(13);
        await expect(store.change({ ...news, replaces: "yes" as never })).rejects.toThrow(
          "replaces must be true or false",
        );
      }));

    it("refuses what is no change, says which part, and keeps nothing", () =>
      withChanges(async (store) => {
        for (const text of ["", "a\nb", "\ud800", "x".repeat(16_385), 5 as never]) {
          for (const part of ["subject", "setting", "value", "before", "by", "reason"]) {
            await expect(store.change({ ...CHANGE, [part]: text })).rejects.toThrow(`a change's ${part} must be`);
          }
        }
        for (const revision of [-1, 0.5, Number.NaN]) {
          await expect(store.change({ ...CHANGE, follows: revision })).rejects.toThrow("follows must be a revision");
          await expect(store.changes({ after: revision })).rejects.toThrow("after must be a revision");
        }
        expect(await store.changes()).toEqual([]);
      }));
  });
}

function keepsChanges(store: UsageStore): store is Settings {
  return store.change !== undefined && store.changes !== undefined;
}
