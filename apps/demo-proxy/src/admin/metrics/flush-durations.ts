import type { StorageDimension } from "@usage/counter-core";
import type { FlushEvent } from "@usage/tracker";
import { DurationBuckets } from "../../counting/duration-buckets.ts";

/** In seconds. */
export const FLUSH_BOUNDS: readonly number[] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];

/** How long flushes took, the failed ones as well, and how many of them failed. */
export class FlushDurations extends DurationBuckets {
  failed = 0;

  constructor() {
    super(FLUSH_BOUNDS);
  }

  add({ durationMs, error }: FlushEvent<StorageDimension>): void {
    this.observe(durationMs);
    if (error !== undefined) this.failed += 1;
  }
}
