import { LocalCounterBackend, type UsageStore } from "@usage/counter-core";
import { type TrackedCounter, UsageTracker } from "@usage/tracker";
import type { Packages } from "./checkout.ts";

/** As many as the loops' masks say. */
export const BACKENDS: readonly string[] = Array.from({ length: 16 }, (_, i) => `backend-${i}`);

const HERE: Packages = { LocalCounterBackend, UsageTracker };

/** A tracker of a local counter whose backends are limited in every dimension, too high to be reached. */
export function limitedTracker(dimensions: readonly string[], packages: Packages = HERE): UsageTracker<string> {
  return limited(new packages.LocalCounterBackend<string>(BACKENDS, { dimensions }), packages);
}

/** Gives every backend of a counter limits that nothing reaches. */
export function limited(counter: TrackedCounter<string>, packages: Packages = HERE): UsageTracker<string> {
  const { dimensions } = counter;
  const limits = Object.fromEntries(dimensions.map((name) => [name, Number.MAX_SAFE_INTEGER]));
  return new packages.UsageTracker(counter, {
    store: unasked(dimensions),
    limits: Object.fromEntries(counter.backends().map((name) => [name, limits])),
  });
}

/** A store for trackers that are never asked to store anything. */
export function unasked<D extends string>(dimensions: readonly D[]): UsageStore<D> {
  const refuse = async (): Promise<never> => {
    throw new Error("this benchmark stores nothing");
  };
  return { dimensions, merge: refuse, totals: refuse, tallies: refuse, history: refuse, remove: refuse, fold: refuse };
}
