import { type Clock, type Event, type StorageDimension, systemClock } from "@usage/counter-core";
import type { UsageTracker } from "../usage-tracker.ts";
import type { ThresholdFailure } from "./threshold-event.ts";
import type { DeliveryTimes, ThresholdOptions } from "./threshold-options.ts";
import { ThresholdTeller } from "./threshold-teller.ts";

export interface ThresholdNotifierOptions<D extends string = StorageDimension>
  extends ThresholdOptions<D>,
    DeliveryTimes {
  readonly tracker: UsageTracker<D>;
  /** Each channel has deliveries of its own: what one receiver did not get is not sent to another one again. @default "default" */
  readonly channel?: string;
  /** What events name as their window. @default none */
  readonly window?: string;
  /** @default systemClock */
  readonly clock?: Clock;
}

/**
 * Tells of thresholds that are reached, by what is stored of all instances: each crossing at least once, under one id in the whole
 * fleet, never early, and again for a limit that has changed. What is found is kept in the store's outbox until it is told.
 *
 * Run one on every instance. Nothing of it is on the request path, and no flush waits for it.
 */
export class ThresholdNotifier<D extends string = StorageDimension> {
  readonly #teller: ThresholdTeller<D>;

  /** @throws TypeError or RangeError that names the option: for one that is wrong, and for a store without `notices`. */
  constructor(options: ThresholdNotifierOptions<D>) {
    const { tracker, window, clock = systemClock } = options;
    this.#teller = new ThresholdTeller(tracker.store, options, clock);
    this.#teller.watch(tracker, window);
  }

  /** Whatever fails and is tried again. Where nobody listens, the first of each kind is a warning of the process. */
  get onError(): Event<ThresholdFailure<D>> {
    return this.#teller.onError;
  }

  /** Looks at all that is held, and from then on at what changes; takes what is in the outbox. */
  start(): void {
    this.#teller.start();
  }

  /**
   * Looks a last time at what has changed, which is kept in the outbox, and ends once what is being told has ended or timed out.
   * Stop flushing before.
   */
  stop(): Promise<void> {
    return this.#teller.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
