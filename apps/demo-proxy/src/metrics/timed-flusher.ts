import { UsageFlusher, type UsageFlusherOptions } from "@usage/tracker";
import { DurationBuckets } from "./duration-buckets.ts";

/** In seconds. */
export const FLUSH_BOUNDS: readonly number[] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];

/** Is told how each flush ended: with why it failed, or with nothing. */
export type FlushListener = (error?: unknown) => void;

/**
 * A flusher that knows how long its flushes took and how many failed. The channel `usage:flush` tells less: nothing of those
 * that failed before there was anything to store, as all do while the database is away.
 */
export class TimedFlusher extends UsageFlusher {
  /** Of all flushes, the failed ones as well. */
  readonly durations: DurationBuckets = new DurationBuckets(FLUSH_BOUNDS);
  readonly #listener: FlushListener | undefined;
  #failed = 0;
  #stopping: Promise<void> | undefined;

  constructor(options: UsageFlusherOptions, listener?: FlushListener) {
    super(options);
    this.#listener = listener;
  }

  get failed(): number {
    return this.#failed;
  }

  // The schedule's own flushes come through here, too.
  override async flush(): Promise<void> {
    const start = performance.now();
    await this.#told(super.flush()).finally(() => this.durations.observe(performance.now() - start));
  }

  /** Its last flush is told of, but nobody will scrape how long it took. */
  override stop(): Promise<void> {
    this.#stopping ??= this.#told(super.stop()).finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  async #told(flush: Promise<void>): Promise<void> {
    try {
      await flush;
    } catch (error) {
      this.#failed += 1;
      this.#listener?.(error);
      throw error;
    }
    this.#listener?.();
  }
}
