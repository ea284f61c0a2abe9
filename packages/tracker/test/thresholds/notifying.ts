import { LocalCounterBackend, memoryStore, type UsageStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import {
  type Delivery,
  type ThresholdEvent,
  type ThresholdFailure,
  ThresholdNotifier,
  type ThresholdNotifierOptions,
  UsageTracker,
  type UsageTrackerOptions,
} from "@usage/tracker";
import { onTestFinished } from "vitest";
import { turn } from "../support/turn.ts";

export interface NotifyingOptions extends Partial<Omit<ThresholdNotifierOptions, "tracker" | "clock">> {
  readonly clock?: ManualClock;
  readonly store?: UsageStore;
  readonly limits?: UsageTrackerOptions["limits"];
}

/** An instance whose notifier runs, on a clock that stands still, and what it was told. */
export async function notifying(options: NotifyingOptions = {}) {
  const {
    clock = new ManualClock("2026-01-15T00:00:00Z"),
    limits = { oci: { apiRequests: 100 } },
    ...others
  } = options;
  const { store = memoryStore({ clock }), ...given } = others;
  const counter = new LocalCounterBackend([], { clock });
  const tracker = new UsageTracker(counter, { store, clock, limits });
  const told: ThresholdEvent[] = [];
  const deliveries: Delivery[] = [];
  const failures: ThresholdFailure[] = [];
  const notifier = new ThresholdNotifier({
    tracker,
    clock,
    thresholds: [0.5, 0.8, 1],
    onThreshold: (event, delivery) => {
      told.push(event);
      deliveries.push(delivery);
    },
    ...given,
  });
  notifier.onError((failure) => void failures.push(failure));
  await tracker.ensure("oci");
  notifier.start();
  onTestFinished(() => notifier.stop());
  /** Counts, stores, and waits until that is looked at. */
  const use = async (apiRequests: number, backend = "oci"): Promise<void> => {
    await tracker.ensure(backend);
    tracker.record(backend, { apiRequests });
    await tracker.flush();
    await settled();
  };
  /** Lets time pass, with all that is asynchronous in between. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 10_000) {
      clock.advance(Math.min(left, 10_000));
      await settled();
    }
  };
  return { clock, store, counter, tracker, notifier, told, deliveries, failures, use, pass };
}

/** Until what is looked at and delivered in turns is over. */
export async function settled(): Promise<void> {
  await turn(30);
}

/** What identifies the events, in the order in which they came. */
export function namesOf(told: readonly ThresholdEvent[]): readonly string[] {
  return told.map(({ backend, threshold, limit }) => `${backend} ${threshold} of ${limit}`);
}
