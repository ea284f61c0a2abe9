import { describe, expect, it } from "vitest";
import type { UsageStore } from "../../hops/usage-store.ts";
import type { TimelineQuery, TimelineStep } from "../../model/timeline.ts";
import type { Usage } from "../../model/usage.ts";
import { ODD_NAMES } from "../odd-names.ts";
import { randomFrom, randomSchedule, randomTallies } from "../random-tallies.ts";
import { many, PERIOD, tally, usageOf } from "../sample-tallies.ts";
import type { WithStore } from "./subject.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** The first instant of the period. */
const START = Date.UTC(2026, 0, 1);
const LAST_HOUR = Date.UTC(2026, 1, 1) - HOUR_MS;

/** A store that keeps a timeline. */
type Timed = UsageStore & Required<Pick<UsageStore, "timeline" | "foldTimeline">>;

/** What a store promises of usage by hour and day, where it has `timeline`. */
export function timelineContract(name: string, withStore: WithStore, schedules: number): void {
  const withTimeline = (work: (store: Timed, reopen: () => Promise<Timed>) => Promise<void>) =>
    withStore(async (store, tested) => {
      if (!keepsTimeline(store)) return;
      await work(store, async () => {
        const reopened = (await tested.reopen?.()) ?? store;
        if (!keepsTimeline(reopened)) throw new Error("the store has no timeline once it is opened again");
        return reopened;
      });
    });

  describe(`${name} keeps a timeline`, () => {
    it("adds what is new of a tally to the hour of the merge, and nothing where it is merged again", () =>
      withTimeline(async (store, reopen) => {
        const at = START + 5 * DAY_MS + 7.5 * HOUR_MS;
        const first = [tally("w", "oci", { apiRequests: 3, egressBytes: 10 })];
        await store.merge(first, { at });
        await store.merge(first, { at: at + HOUR_MS });
        await store.merge([tally("w", "oci", { apiRequests: 5 }), tally("v", "oci", { apiRequests: 1 })], {
          at: at + HOUR_MS,
        });
        await store.merge([tally("w", "oci", { apiRequests: 4, egressBytes: 9 })], { at: at + 2 * HOUR_MS });
        const again = await reopen();
        const start = START + 5 * DAY_MS + 7 * HOUR_MS;
        expect(await again.timeline(PERIOD, { step: "hour" })).toEqual([
          { start, backend: "oci", usage: { apiRequests: 3, egressBytes: 10 } },
          { start: start + HOUR_MS, backend: "oci", usage: { apiRequests: 3 } },
        ]);
        expect(await again.timeline(PERIOD, { step: "day" })).toEqual([
          { start: START + 5 * DAY_MS, backend: "oci", usage: { apiRequests: 6, egressBytes: 10 } },
        ]);
      }));

    it("takes what is merged now for used in this hour", () =>
      withTimeline(async (store) => {
        const month = new Date().toISOString().slice(0, 7);
        await store.merge([{ ...tally("w", "oci", { apiRequests: 3 }), period: month }]);
        const [step, ...others] = await store.timeline(month, { step: "hour" });
        expect(others).toEqual([]);
        expect(step?.usage).toEqual({ apiRequests: 3 });
        expect(Math.abs(Date.now() - (step?.start ?? 0))).toBeLessThanOrEqual(HOUR_MS + 60_000);
        expect((step?.start ?? 1) % HOUR_MS).toBe(0);
      }));

    it("takes what comes after the period for used in its last hour, and what comes before it for its first", () =>
      withTimeline(async (store) => {
        await store.merge([tally("w", "oci", { apiRequests: 3 })]);
        await store.merge([tally("w", "oci", { apiRequests: 5 })], { at: START - 1 });
        await store.merge([tally("w", "oci", { apiRequests: 6 })], { at: LAST_HOUR + HOUR_MS });
        await store.merge([tally("w", "oci", { apiRequests: 10 })], { at: LAST_HOUR });
        expect(await store.timeline(PERIOD, { step: "hour" })).toEqual([
          { start: START, backend: "oci", usage: { apiRequests: 2 } },
          { start: LAST_HOUR, backend: "oci", usage: { apiRequests: 8 } },
        ]);
      }));

    it("returns what is asked for: some hours, some backends", () =>
      withTimeline(async (store) => {
        for (let hour = 0; hour < 30; hour++) {
          const at = START + hour * HOUR_MS;
          await store.merge([tally("w", "a", { apiRequests: hour + 1 }), tally("w", "b", { egressBytes: hour + 1 })], {
            at,
          });
        }
        const from = START + 3 * HOUR_MS;
        const hours = await store.timeline(PERIOD, {
          step: "hour",
          from,
          to: from + 2 * HOUR_MS,
          backends: ["b", "c"],
        });
        expect(hours).toEqual([
          { start: from, backend: "b", usage: { egressBytes: 1 } },
          { start: from + HOUR_MS, backend: "b", usage: { egressBytes: 1 } },
        ]);
        expect(await store.timeline(PERIOD, { step: "day", from: from + 1, to: START + 25 * HOUR_MS })).toEqual([
          { start: START, backend: "a", usage: { apiRequests: 20 } },
          { start: START, backend: "b", usage: { egressBytes: 20 } },
          { start: START + DAY_MS, backend: "a", usage: { apiRequests: 1 } },
          { start: START + DAY_MS, backend: "b", usage: { egressBytes: 1 } },
        ]);
        for (const none of [{ backends: [] }, { from: LAST_HOUR }, { to: START }]) {
          expect(await store.timeline(PERIOD, { step: "hour", ...none })).toEqual([]);
        }
        expect(await store.timeline("2026-02", { step: "day" })).toEqual([]);
      }));

    it("adds up to the totals at every instant, whatever is merged again, out of order, or by others at once", () =>
      withTimeline(async (store) => {
        for (let seed = 1; seed <= schedules; seed++) {
          const month = `2026-${String((seed % 12) + 1).padStart(2, "0")}`;
          const random = randomFrom(seed);
          const merges = randomSchedule(random, randomTallies(random, month));
          const writers = merges.map(async (merge, index) => {
            await store.merge(merge, index % 2 === 0 ? {} : { at: START + Math.floor(random() * 365) * DAY_MS });
          });
          await Promise.all(writers);
          await assertAddsUp(store, month, `seed ${seed}`);
        }
      }));

    it("counts once what two merge at once that nobody had before", () =>
      withTimeline(async (store) => {
        for (let round = 0; round < 10; round++) {
          const tallies = (amount: number) =>
            Array.from({ length: 20 }, (_, index) => tally("w", `new-${round}-${index}`, { apiRequests: amount }));
          await Promise.all([5, 3, 7, 7].map((amount) => store.merge(tallies(amount))));
        }
        await assertAddsUp(store, PERIOD);
      }));

    it("adds up where periods are folded, tallies rejected, and backends removed", () =>
      withTimeline(async (store) => {
        const old = (writer: string, backend: string, amount: number) => ({
          ...tally(writer, backend, { apiRequests: amount }),
          period: "2020-01",
        });
        await store.merge([
          old("u", "oci", 5),
          old("v", "oci", 7),
          old("v", "b2", 1),
          tally("v", "b2", { apiRequests: 2 }),
        ]);
        const before = await store.timeline("2020-01", { step: "hour" });
        await store.fold("2020-02");
        expect(await store.merge([old("u", "oci", 50), old("w", "new", 50)])).toHaveLength(2);
        expect(await store.timeline("2020-01", { step: "hour" })).toEqual(before);
        await assertAddsUp(store, "2020-01");
        await store.remove("b2");
        for (const period of ["2020-01", PERIOD]) {
          expect((await store.timeline(period, { step: "hour" })).map(({ backend }) => backend)).not.toContain("b2");
          await assertAddsUp(store, period);
        }
        await store.merge([tally("w", "b2", { apiRequests: 4 })]);
        await assertAddsUp(store, PERIOD);
      }));

    it("keeps none of periods that have no date, and odd names apart", () =>
      withTimeline(async (store) => {
        const periods = ["2026-W05", "day:2026-01-05", "2026", "2026-02-30", "0"];
        await store.merge(periods.map((period) => ({ ...tally("w", "oci", { apiRequests: 1 }), period })));
        for (const period of periods) expect(await store.timeline(period, { step: "hour" })).toEqual([]);
        const at = START + HOUR_MS;
        await store.merge(
          ODD_NAMES.map((odd, index) => tally("w", odd, { constructor: index + 1 })),
          { at },
        );
        const steps = await store.timeline(PERIOD, { step: "day", backends: ODD_NAMES });
        expect(new Map(steps.map(({ backend, usage }) => [backend, usage.constructor]))).toEqual(
          new Map(ODD_NAMES.map((odd, index) => [odd, index + 1])),
        );
      }));

    it("makes old hours one with their day, deletes old days, and takes nothing from any other sum", () =>
      withTimeline(async (store) => {
        const day = START + 10 * DAY_MS;
        for (let hour = 0; hour < 50; hour++) {
          const tallies = ["a", "b"].map((backend) => tally("w", backend, { apiRequests: hour + 1 }));
          await store.merge(tallies, { at: day + hour * HOUR_MS });
        }
        const days = await store.timeline(PERIOD, { step: "day" });
        const late = await store.timeline(PERIOD, { step: "hour", from: day + 26 * HOUR_MS });
        const ages = { hoursBefore: day + 26 * HOUR_MS, daysBefore: day };
        await Promise.all([store.foldTimeline(ages), store.foldTimeline(ages)]);
        expect(await store.timeline(PERIOD, { step: "day" })).toEqual(days);
        expect(await store.timeline(PERIOD, { step: "hour", backends: ["b"] })).toEqual([
          { start: day, backend: "b", usage: { apiRequests: 24 } },
          { start: day + DAY_MS, backend: "b", usage: { apiRequests: 2 } },
          ...late.filter(({ backend }) => backend === "b"),
        ]);
        await store.merge([tally("w", "a", { apiRequests: 51 })], { at: day + HOUR_MS });
        await store.foldTimeline(ages);
        await assertAddsUp(store, PERIOD);
        await store.foldTimeline({ hoursBefore: day + 2 * DAY_MS, daysBefore: day + DAY_MS });
        const [first, second] = await store.timeline(PERIOD, { step: "day" });
        expect([first?.start, second?.start]).toEqual([day + DAY_MS, day + DAY_MS]);
        expect((await usageOf(store)).get("a")?.all.apiRequests).toBe(51);
      }));

    it("returns hours of thousands of backends", () =>
      withTimeline(async (store) => {
        await store.merge(many(3_000), { at: START });
        await store.merge(
          many(3_000).map((one) => ({ ...one, usage: { apiRequests: 10_000 } })),
          { at: START + DAY_MS },
        );
        await assertAddsUp(store, PERIOD);
        expect(await store.timeline(PERIOD, { step: "day", from: START + DAY_MS })).toHaveLength(3_000);
      }));

    it("refuses what is no query, no age and no instant", () =>
      withTimeline(async (store) => {
        const wrong = [{}, { step: "week" }, { step: "hour", from: 0.5 }, { step: "day", to: Number.NaN }];
        for (const query of wrong) {
          await expect(store.timeline(PERIOD, query as TimelineQuery)).rejects.toThrow(RangeError);
        }
        await expect(store.foldTimeline({ hoursBefore: 1, daysBefore: 2 })).rejects.toThrow("daysBefore");
        await expect(store.foldTimeline({ hoursBefore: -1, daysBefore: -1 })).rejects.toThrow("hoursBefore");
        for (const at of [-1, 0.5, Number.NaN, 2 ** 53, "5" as never]) {
          await expect(store.merge([tally("w", "oci", { apiRequests: 1 })], { at })).rejects.toThrow("at must be");
        }
        expect(await store.timeline(PERIOD, { step: "hour" })).toEqual([]);
      }));
  });
}

/** That the hours of a period, and its days, add up to what it has of each backend and dimension. */
async function assertAddsUp(store: Timed, period: string, where = period): Promise<void> {
  const totals = new Map<string, Usage>();
  for (const [backend, { all }] of (await store.totals(period, "")).usage) totals.set(backend, all);
  for (const step of ["hour", "day"] as const) {
    expect(sumOf(await store.timeline(period, { step })), `${where} by ${step}`).toEqual(totals);
  }
}

function sumOf(steps: readonly TimelineStep[]): Map<string, Usage> {
  const sums = new Map<string, Usage>();
  for (const { backend, usage } of steps) {
    const { apiRequests, egressBytes, ingressBytes } = sums.get(backend) ?? NOTHING;
    sums.set(backend, {
      apiRequests: added(apiRequests, usage.apiRequests),
      egressBytes: added(egressBytes, usage.egressBytes),
      ingressBytes: added(ingressBytes, usage.ingressBytes),
    });
  }
  return sums;
}

const NOTHING: Usage = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };

/** No sum passes 2^53-1. */
function added(sum: number, amount = 0): number {
  return Math.min(Number.MAX_SAFE_INTEGER, sum + amount);
}

function keepsTimeline(store: UsageStore): store is Timed {
  return store.timeline !== undefined && store.foldTimeline !== undefined;
}
