import { LocalCounterBackend, memoryStore, type UsageStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { namesOf, notifying, settled } from "./notifying.ts";

const LIMITS = { oci: { apiRequests: 100 } };
const FIFTY = { apiRequests: 50 };
const OURS = { id: "ticket-4711", reason: "an outage of ours" };

/** Another instance on the same store, which tells nobody. */
async function another(store: UsageStore, clock: ManualClock) {
  const tracker = new UsageTracker(new LocalCounterBackend([], { clock }), { store, clock, limits: LIMITS });
  await tracker.ensure("oci");
  return tracker;
}

describe("a grant", () => {
  it("is a changed limit: its thresholds begin anew, those that are reached already are told at once", async () => {
    const { tracker, told, use } = await notifying();
    await use(90);
    expect(namesOf(told)).toEqual(["oci 0.5 of 100", "oci 0.8 of 100"]);
    told.length = 0;
    await tracker.grant("oci", FIFTY, OURS);
    await settled();
    expect(namesOf(told)).toEqual(["oci 0.5 of 150"]);
    await use(30);
    await use(30);
    expect(namesOf(told)).toEqual(["oci 0.5 of 150", "oci 0.8 of 150", "oci 1 of 150"]);
  });

  it("that another instance has given and used is known before what it used is told of", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const store = memoryStore({ clock });
    const other = await another(store, clock);
    // Both happen between the two reads of a refresh: of grants, and of what was used.
    let isBetween = false;
    const read: UsageStore = {
      ...store,
      async totals(period, writer, query) {
        if (isBetween) {
          isBetween = false;
          await other.grant("oci", FIFTY, OURS);
          other.record("oci", { apiRequests: 120 });
          await other.flush();
        }
        return store.totals(period, writer, query);
      },
    };
    const { tracker, told } = await notifying({ clock, store: read, thresholds: [0.9] });
    isBetween = true;
    await tracker.refresh();
    await settled();
    expect(isBetween).toBe(false);
    expect(tracker.check("oci", {}).usage.apiRequests).toBe(120);
    expect(told).toEqual([]);
    other.record("oci", { apiRequests: 15 });
    await other.flush();
    await tracker.refresh();
    await settled();
    expect(namesOf(told)).toEqual(["oci 0.9 of 150"]);
  });

  it("of a period that is over is part of the limit of what is stored late of it, by whoever has not known of it", async () => {
    const clock = new ManualClock("2026-01-31T23:59:00Z");
    const store = memoryStore({ clock });
    const { tracker, told } = await notifying({ clock, store });
    tracker.record("oci", { apiRequests: 20 });
    const other = await another(store, clock);
    await other.grant("oci", FIFTY, OURS);
    other.record("oci", { apiRequests: 100 });
    await other.flush();
    clock.set("2026-02-01T00:01:00Z");
    clock.advance(1_000);
    // What was granted since is no part of January.
    await tracker.grant("oci", { apiRequests: 1_000 }, OURS);
    await tracker.flush();
    await settled();
    expect(namesOf(told)).toEqual(["oci 0.5 of 150", "oci 0.8 of 150"]);
    expect(told.map(({ period }) => period)).toEqual(["2026-01", "2026-01"]);
  });

  it("that cannot be read holds up what it may change, which is told once it can be", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const store = memoryStore({ clock });
    let isAway = false;
    const away: UsageStore = {
      ...store,
      grants: async (query) =>
        isAway ? Promise.reject(new Error("no grants")) : ((await store.grants?.(query)) ?? []),
    };
    const { tracker, told, failures, pass } = await notifying({ clock, store: away });
    const other = await another(store, clock);
    tracker.record("oci", { apiRequests: 60 });
    isAway = true;
    await expect(tracker.flush()).rejects.toThrow("no grants");
    await settled();
    expect(told).toEqual([]);
    expect(failures.map(({ error }) => (error as Error).message)).toContain("no grants");
    await other.grant("oci", FIFTY, OURS);
    isAway = false;
    await pass(10_000);
    expect(namesOf(told)).toEqual([]);
    tracker.record("oci", { apiRequests: 15 });
    await tracker.flush();
    await settled();
    expect(namesOf(told)).toEqual(["oci 0.5 of 150"]);
  });
});
