import type { StorageDimension } from "@usage/counter-core";
import type { TrackedCounter } from "./tracked-counter.ts";
import { type FlushSchedule, UsageFlusher, type UsageFlusherOptions } from "./usage-flusher.ts";
import { UsageTracker, type UsageTrackerOptions } from "./usage-tracker.ts";

export interface OpenUsageOptions<D extends string = StorageDimension>
  extends UsageTrackerOptions<D>,
    FlushSchedule,
    Pick<UsageFlusherOptions<D>, "skip" | "random"> {
  /** What counts. Whoever made it ends it. */
  readonly counter: TrackedCounter<D>;
}

/** A tracker whose counts are stored by themselves, until it is closed. */
export class OpenUsage<D extends string = StorageDimension> extends UsageTracker<D> {
  /** Stores what is counted, again and again. */
  readonly flusher: UsageFlusher<D>;

  constructor({ counter, ...options }: OpenUsageOptions<D>) {
    super(counter, options);
    this.flusher = new UsageFlusher({ ...options, tracker: this });
  }

  /**
   * Stores what is left, and ends. Stop recording before. May be called again when it rejects. The counter and the store stay
   * open: whoever opened them closes them, the counter first.
   *
   * @throws FlushError that says what is not stored.
   */
  close(): Promise<void> {
    return this.flusher.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
