import { LocalCounterBackend, memoryStore, type StorageDimension, type UsageStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { UsageTracker, type UsageTrackerOptions } from "@usage/tracker";

export interface TrackedOptions extends Partial<UsageTrackerOptions> {
  /** There from the start. @default oci and b2 */
  readonly backends?: readonly string[];
  readonly maxBackends?: number;
  readonly idleMs?: number;
}

/** A tracker on a local counter and a store in memory, at a time that stands still. */
export function tracked({ backends = ["oci", "b2"], maxBackends, idleMs, ...options }: TrackedOptions = {}) {
  const clock = new ManualClock("2026-01-15T00:00:00Z");
  const counter = new LocalCounterBackend<StorageDimension>(backends, {
    clock,
    ...(maxBackends !== undefined && { maxBackends }),
    ...(idleMs !== undefined && { idleMs }),
  });
  const store: UsageStore = options.store ?? memoryStore();
  const tracker = new UsageTracker(counter, { clock, ...options, store });
  /** What is stored of a backend, of all months. */
  const stored = async (backend = "oci"): Promise<number> =>
    (await store.history({ backend })).reduce((sum, { usage }) => sum + (usage.apiRequests ?? 0), 0);
  return { clock, counter, store, tracker, stored };
}
