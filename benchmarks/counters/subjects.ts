import { LocalCounterBackend } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import { type DimensionCount, USAGE_OF } from "./usage-shapes.ts";

/** As many as the loops' masks say. */
export const BACKENDS: readonly string[] = Array.from({ length: 16 }, (_, i) => `backend-${i}`);

export interface TrackerOptions {
  readonly dimensions: DimensionCount;
  /** Cells in shared memory. */
  readonly shared: boolean;
}

/** A tracker whose backends are limited in every dimension, too high to be reached. */
export function limitedTracker({ dimensions, shared }: TrackerOptions): UsageTracker<string> {
  const names = Object.keys(USAGE_OF[dimensions](0));
  const limits = Object.fromEntries(names.map((name) => [name, Number.MAX_SAFE_INTEGER]));
  return new UsageTracker(new LocalCounterBackend<string>(BACKENDS, { dimensions: names, shared }), {
    limits: Object.fromEntries(BACKENDS.map((name) => [name, limits])),
  });
}
