import { describe, expect, it } from "vitest";
import type { UsageStore } from "../../hops/usage-store.ts";
import { NameError } from "../../model/errors.ts";
import type { Instance } from "../../model/instance.ts";
import { PERIOD, tally } from "../sample-tallies.ts";
import type { WithStore } from "./subject.ts";

const INSTANCE: Instance = { id: "run-1", startedAt: 1_000, labels: { version: "1.2.3", host: "🪣" } };

/** A store that keeps instances. */
type Meeting = UsageStore & Required<Pick<UsageStore, "heartbeat" | "instances" | "writers">>;

/** What a store promises of instances and writers, where it has `heartbeat`. */
export function instancesContract(name: string, withStore: WithStore): void {
  const withInstances = (work: (store: Meeting) => Promise<void>) =>
    withStore(async (store) => {
      if (keepsInstances(store)) await work(store);
    });

  describe(`${name} keeps instances`, () => {
    it("returns what each instance said last, and when it was heard of, the last heard first", () =>
      withInstances(async (store) => {
        expect(await store.instances()).toEqual([]);
        await store.heartbeat(INSTANCE);
        await new Promise((resolve) => setTimeout(resolve, 5));
        await store.heartbeat({ id: "run-2", startedAt: 2_000, labels: {} });
        const [second, first] = await store.instances();
        expect(first).toEqual({ ...INSTANCE, seenAt: expect.any(Number) });
        expect(second).toEqual({ id: "run-2", startedAt: 2_000, labels: {}, seenAt: expect.any(Number) });
        expect(Math.abs((first?.seenAt ?? 0) - Date.now())).toBeLessThan(3_600_000);
        await new Promise((resolve) => setTimeout(resolve, 5));
        await store.heartbeat({ ...INSTANCE, stoppedAt: 5_000, labels: { version: "2" } });
        const [again] = await store.instances();
        expect(again).toMatchObject({ id: "run-1", stoppedAt: 5_000, labels: { version: "2" } });
        expect(again?.seenAt).toBeGreaterThan(first?.seenAt ?? 0);
        await store.heartbeat(INSTANCE);
        expect(await store.instances()).toHaveLength(2);
        expect((await store.instances())[0]).not.toHaveProperty("stoppedAt");
      }));

    it("returns what each writer stored of a period, of all backends", () =>
      withInstances(async (store) => {
        await store.merge([
          tally("w", "oci", { apiRequests: 1, egressBytes: 5 }),
          tally("w", "b2", { apiRequests: 2 }),
          tally("v", "oci", { apiRequests: 7 }),
          { ...tally("x", "oci", { apiRequests: 9 }), period: "2020-01" },
          { ...tally("y", "oci", { apiRequests: 1 }), period: "2020-01" },
        ]);
        expect(await store.writers(PERIOD)).toEqual([
          { writer: "v", usage: { apiRequests: 7 } },
          { writer: "w", usage: { apiRequests: 3, egressBytes: 5 } },
        ]);
        await store.fold("2020-02");
        expect(await store.writers("2020-01")).toEqual([{ writer: "", usage: { apiRequests: 10 } }]);
        expect(await store.writers("2026-02")).toEqual([]);
      }));

    it("returns it of thousands of backends", () =>
      withInstances(async (store) => {
        const tallies = Array.from({ length: 3_000 }, (_, index) =>
          tally(`w${index % 3}`, `b${index}`, { apiRequests: 1 }),
        );
        await store.merge(tallies);
        expect((await store.writers(PERIOD)).map(({ usage }) => usage.apiRequests)).toEqual([1_000, 1_000, 1_000]);
      }));

    it("refuses what is no instance, says which part, and keeps nothing", () =>
      withInstances(async (store) => {
        const texts = ["", "a\nb", "\ud800", "x".repeat(1_001), 5 as never, null as never];
        for (const text of texts) {
          await expect(store.heartbeat({ ...INSTANCE, id: text })).rejects.toThrow("an instance's id must be");
          const labels = { version: text };
          await expect(store.heartbeat({ ...INSTANCE, labels })).rejects.toThrow("an instance's label version must be");
        }
        await expect(store.heartbeat({ ...INSTANCE, labels: { "no name": "x" } })).rejects.toThrow(NameError);
        const many = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`label${index}`, "x"]));
        await expect(store.heartbeat({ ...INSTANCE, labels: many })).rejects.toThrow("at most 16 labels");
        for (const startedAt of [-1, 0.5, Number.NaN]) {
          await expect(store.heartbeat({ ...INSTANCE, startedAt })).rejects.toThrow("startedAt must be");
          await expect(store.heartbeat({ ...INSTANCE, stoppedAt: startedAt })).rejects.toThrow("stoppedAt must be");
        }
        expect(await store.instances()).toEqual([]);
      }));
  });
}

function keepsInstances(store: UsageStore): store is Meeting {
  return store.heartbeat !== undefined && store.instances !== undefined && store.writers !== undefined;
}
