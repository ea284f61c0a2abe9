import { UsageFlusher } from "@usage/tracker";
import { DurationBuckets } from "../../counting/duration-buckets.ts";

/** In seconds. */
export const FLUSH_BOUNDS: readonly number[] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];

/** A flusher that knows how long its flushes took and how many failed, until it is stopped: nobody scrapes after that. */
export class TimedFlusher extends UsageFlusher {
  /** Of all flushes, the failed ones as well. */
  readonly durations: DurationBuckets = new DurationBuckets(FLUSH_BOUNDS);
  failed = 0;

  // The schedule's own flushes come through here, too.
  override async flush(): Promise<void> {
    const start = performance.now();
    try {
      await super.flush();
    } catch (error) {
      this.failed += 1;
      throw error;
    } finally {
      this.durations.observe(performance.now() - start);
    }
  }
}
