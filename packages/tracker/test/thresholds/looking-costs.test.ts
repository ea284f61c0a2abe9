import { LocalCounterBackend, memoryStore, type UsageStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { type ThresholdEvent, ThresholdNotifier, UsageTracker } from "@usage/tracker";
import { expect, it, onTestFinished } from "vitest";
import { settled } from "./notifying.ts";

const COUNT = 20_000;
const names = Array.from({ length: COUNT }, (_, index) => `tenant-${index}`);

/** What was asked of a store: in how many calls, and of how many backends. */
function asking(memory: UsageStore) {
  const asked = { totals: 0, backends: 0, claims: 0, marks: 0 };
  const store: UsageStore = {
    ...memory,
    totals(period, writer, query) {
      // Those of the tracker's own reads name none, or all.
      if (query?.backends !== undefined && query.backends.length < COUNT) {
        asked.totals += 1;
        asked.backends += query.backends.length;
      }
      return memory.totals(period, writer, query);
    },
    async claim(marks) {
      asked.claims += 1;
      asked.marks += marks.length;
      return (await memory.claim?.(marks)) ?? [];
    },
  };
  const since = () => {
    const counted = { ...asked };
    Object.assign(asked, { totals: 0, backends: 0, claims: 0, marks: 0 });
    return counted;
  };
  return { store, since };
}

it("a look costs what has changed and may have crossed something, of 20,000 backends", {
  timeout: 60_000,
}, async () => {
  const clock = new ManualClock("2026-01-15T00:00:00Z");
  const { store, since } = asking(memoryStore({ clock }));
  const counter = new LocalCounterBackend(names, { clock });
  const tracker = new UsageTracker(counter, { store, clock, limits: () => ({ apiRequests: 100 }) });
  // Half of them have passed the first threshold.
  for (const [index, backend] of names.entries()) tracker.record(backend, { apiRequests: index % 2 === 0 ? 10 : 50 });
  await tracker.flush();
  const told: ThresholdEvent[] = [];
  const notifier = new ThresholdNotifier({
    tracker,
    clock,
    thresholds: [0.5, 0.8],
    onThreshold: (event) => void told.push(event),
  });
  onTestFinished(() => notifier.stop());
  since();
  notifier.start();
  await expect.poll(() => told.length, { timeout: 30_000 }).toBe(COUNT / 2);
  // Those that may have crossed something are asked for at once, and claimed some hundred at a time.
  expect(since()).toMatchObject({ totals: 1, backends: COUNT / 2, marks: COUNT / 2 });

  const flush = async (backends: readonly string[], apiRequests: number) => {
    for (const backend of backends) tracker.record(backend, { apiRequests });
    await tracker.flush();
    await settled();
    return since();
  };
  // The tracker itself looks again at some of what it stored last.
  const [quiet, near] = [names.slice(100, 400), names.slice(0, 10)];
  const own = (await flush([], 0)).totals;
  expect(own).toBeLessThanOrEqual(1);
  const watched = await flush(quiet, 1);
  expect(watched).toMatchObject({ claims: 0, marks: 0 });
  expect(watched.backends).toBeLessThanOrEqual(100);
  // All ten are near their next threshold, five of them have crossed it.
  const crossed = await flush(near, 30);
  expect(crossed).toMatchObject({ claims: 1, marks: 5 });
  expect(crossed.totals - own).toBeLessThanOrEqual(1);
  expect(crossed.backends).toBeLessThanOrEqual(100 + 5);
  const again = await flush(near, 1);
  expect(again).toMatchObject({ claims: 0, marks: 0 });
  expect(told).toHaveLength(COUNT / 2 + 5);
});
