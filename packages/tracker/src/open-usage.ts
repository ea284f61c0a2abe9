import type { Event, StorageDimension } from "@usage/counter-core";
import { systemClock } from "@usage/counter-core";
import { Emitter } from "@usage/counter-core/internal";
import type { ThresholdFailure } from "./thresholds/threshold-event.ts";
import { givenThresholds, type ThresholdOptions } from "./thresholds/threshold-options.ts";
import { ThresholdTeller } from "./thresholds/threshold-teller.ts";
import type { TrackedCounter } from "./tracked-counter.ts";
import { type FlushSchedule, UsageFlusher, type UsageFlusherOptions } from "./usage-flusher.ts";
import { UsageTracker } from "./usage-tracker.ts";
import type { UsageTrackerOptions } from "./usage-tracker-options.ts";

export interface OpenUsageOptions<D extends string = StorageDimension>
  extends UsageTrackerOptions<D>,
    FlushSchedule,
    Pick<UsageFlusherOptions<D>, "skip" | "random">,
    Partial<ThresholdOptions<D>> {
  /** What counts. Whoever made it ends it. */
  readonly counter: TrackedCounter<D>;
}

/** A tracker whose counts are stored by themselves, until it is closed. */
export class OpenUsage<D extends string = StorageDimension> extends UsageTracker<D> {
  /** Stores what is counted, again and again. */
  readonly flusher: UsageFlusher<D>;
  readonly #teller: ThresholdTeller<D> | undefined;

  constructor({ counter, ...options }: OpenUsageOptions<D>) {
    // Throws before the counter is told of the store.
    const teller = tellerOf(options);
    super(counter, options);
    this.flusher = new UsageFlusher({ ...options, tracker: this });
    this.#teller = teller;
    teller?.watch(this, undefined);
  }

  /** Whatever fails about thresholds and is tried again. Where nobody listens, the first of each kind is a warning of the process. */
  get onThresholdError(): Event<ThresholdFailure<D>> {
    return this.#teller?.onError ?? new Emitter<ThresholdFailure<D>>().event;
  }

  /** Begins to store what is counted, and to tell of thresholds. `openUsage` does it. */
  start(): void {
    this.flusher.start();
    this.#teller?.start();
  }

  /**
   * Stores what is left, and ends. Stop recording before. May be called again when it rejects. The counter and the store stay
   * open: whoever opened them closes them, the counter first. What thresholds the last flush has reached stays in the store's outbox,
   * and is told by another instance or the next one.
   *
   * @throws FlushError that says what is not stored.
   */
  async close(): Promise<void> {
    await this.flusher.stop();
    await this.#teller?.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function tellerOf<D extends string>(options: Omit<OpenUsageOptions<D>, "counter">): ThresholdTeller<D> | undefined {
  const given = givenThresholds(options);
  return given && new ThresholdTeller(options.store, given, options.clock ?? systemClock);
}
