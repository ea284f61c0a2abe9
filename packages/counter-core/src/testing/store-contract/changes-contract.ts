import { describe, expect, it } from "vitest";
import type { UsageStore } from "../../hops/usage-store.ts";
import type { StoredUsage } from "../../model/usage.ts";
import { ODD_NAMES } from "../odd-names.ts";
import { randomFrom, randomSchedule, randomTallies } from "../random-tallies.ts";
import { many, PERIOD, tally, usage, usageOf } from "../sample-tallies.ts";
import type { WithStore } from "./subject.ts";

/** What a store promises of totals of some backends, and of what changed. */
export function changesContract(name: string, withStore: WithStore): void {
  describe(`${name} tells what is asked for`, () => {
    it("tells totals of the backends that are asked for, and of no other", () =>
      withStore(async (store) => {
        await store.merge([
          tally("w", "oci", { apiRequests: 1 }),
          tally("v", "oci", { apiRequests: 2 }),
          tally("w", "b2", { egressBytes: 3 }),
          tally("w", "other", { apiRequests: 9 }),
          { ...tally("w", "unknown", { apiRequests: 9 }), period: "2026-02" },
        ]);
        const asked = await store.totals(PERIOD, "w", { backends: ["oci", "unknown", "b2", "oci"] });
        expect(asked.usage).toEqual(
          new Map([
            ["oci", { all: usage(3, 0, 0), own: usage(1, 0, 0) }],
            ["b2", { all: usage(0, 3, 0), own: usage(0, 3, 0) }],
          ]),
        );
        expect((await store.totals(PERIOD, "w", { backends: [] })).usage).toEqual(new Map());
      }));

    it("tells totals of thousands of backends, and of odd ones, as of all", () =>
      withStore(async (store) => {
        const tallies = [...many(12_000), ...ODD_NAMES.map((odd) => tally("w", odd, { apiRequests: 1 }))];
        await store.merge(tallies);
        const all = await usageOf(store);
        const half = [...all.keys()].filter((_, index) => index % 2 === 0);
        const asked = await store.totals(PERIOD, "w", { backends: half });
        expect(asked.usage).toEqual(new Map(half.map((backend) => [backend, all.get(backend)])));
        const odd = await store.totals(PERIOD, "v", { backends: ODD_NAMES });
        expect(new Set(odd.usage.keys())).toEqual(new Set(ODD_NAMES));
      }));

    it("tells what changed since an answer, whatever that was asked for", () =>
      withStore(async (store) => {
        await store.merge(many(2_000));
        for (const asked of [{}, { backends: ["backend-7"] }, { backends: [] }]) {
          const { cursor } = await store.totals(PERIOD, "w", asked);
          if (cursor === undefined) return;
          const amount = 10_000 + (await usageOf(store, "late")).size;
          await store.merge([
            tally("v", "backend-7", { apiRequests: amount }),
            tally("w", `new-${amount}`, { apiRequests: 1 }),
          ]);
          const changed = await store.totals(PERIOD, "v", { since: cursor });
          expect(changed.usage.get("backend-7")).toEqual({
            all: usage(8 + amount, 1, 0),
            own: usage(amount, 0, 0),
          });
          expect(changed.usage.get(`new-${amount}`)).toEqual({ all: usage(1, 0, 0), own: usage(0, 0, 0) });
          const one = await store.totals(PERIOD, "v", { since: cursor, backends: ["backend-7"] });
          expect([...one.usage.keys()]).toEqual(["backend-7"]);
        }
      }));

    it("tells it from a period in which nothing was stored at first", () =>
      withStore(async (store) => {
        const { cursor } = await store.totals(PERIOD, "w");
        await store.merge([tally("w", "oci", { apiRequests: 1 })]);
        const { usage: told } = await store.totals(PERIOD, "w", cursor === undefined ? {} : { since: cursor });
        expect(told.get("oci")?.all).toEqual(usage(1, 0, 0));
      }));

    it("hides nothing from who follows its cursors while four others merge", () =>
      withStore(async (store) => {
        for (let seed = 1; seed <= 3; seed++) {
          const period = `seed-${seed}`;
          const random = randomFrom(seed);
          const follower = followerOf(store, period);
          const merging = Promise.all(
            [0, 1, 2, 3].map(async () => {
              for (const merge of randomSchedule(random, randomTallies(random, period))) await store.merge(merge);
            }),
          );
          let isMerging = true;
          const done = merging.finally(() => {
            isMerging = false;
          });
          while (isMerging) {
            await follower.look();
            // A store in memory may need no turn of the event loop, and the merges do.
            await new Promise(setImmediate);
          }
          await done;
          await follower.look();
          expect(follower.seen, `seed ${seed}`).toEqual((await store.totals(period, "w0")).usage);
        }
      }));

    it("leaves nothing out for a cursor of another period or of another store, or for what is none", () =>
      withStore(async (store) => {
        await store.merge([tally("w", "oci", { apiRequests: 1 })]);
        const { cursor = "" } = await store.totals("2026-02", "w");
        const own = (await store.totals(PERIOD, "w")).cursor ?? "";
        const whole = await usageOf(store);
        await withStore(async (other) => {
          await other.merge(many(3));
          const { cursor: foreign = "" } = await other.totals(PERIOD, "w");
          const none = ["", "garbage", "999999999999999999", "' or 1=1 --", `${own} `, own.slice(1)];
          for (const since of [cursor, foreign, ...none, 5 as never, null as never]) {
            expect((await store.totals(PERIOD, "w", { since })).usage, String(since)).toEqual(whole);
          }
        });
      }));
  });
}

/** Who reads everything once, and then only what changed. */
function followerOf(store: UsageStore, period: string) {
  const seen = new Map<string, StoredUsage>();
  let since: string | undefined;
  return {
    seen,
    async look(): Promise<void> {
      const { usage, cursor } = await store.totals(period, "w0", since === undefined ? {} : { since });
      for (const [backend, stored] of usage) seen.set(backend, stored);
      since = cursor;
    },
  };
}
