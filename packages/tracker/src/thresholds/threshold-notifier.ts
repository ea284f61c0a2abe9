import { type Clock, type Event, type StorageDimension, systemClock } from "@usage/counter-core";
import { Emitter, messageOf } from "@usage/counter-core/internal";
import type { UsageTracker } from "../usage-tracker.ts";
import { NoticeCourier } from "./notice-courier.ts";
import type { ThresholdFailure } from "./threshold-event.ts";
import { checkedThresholdOptions, type DeliveryTimes, type ThresholdOptions } from "./threshold-options.ts";
import { ThresholdWatch } from "./threshold-watch.ts";

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
  readonly #watch: ThresholdWatch<D>;
  readonly #courier: NoticeCourier<D>;
  readonly #failed = new Emitter<ThresholdFailure<D>>();

  /** @throws TypeError or RangeError that names the option: for one that is wrong, and for a store without `notices`. */
  constructor(options: ThresholdNotifierOptions<D>) {
    const { tracker, window, clock = systemClock } = options;
    const parts = checkedThresholdOptions(tracker.store, options);
    const onFailure = (failure: ThresholdFailure<D>): void => tellFailure(this.#failed, failure);
    this.#courier = new NoticeCourier({ ...parts, clock, onFailure });
    const { channel, thresholdsOf } = parts;
    this.#watch = new ThresholdWatch({
      tracker,
      thresholdsOf: (backend) => thresholdsOf(backend, window),
      channel,
      window,
      clock,
      onError: (error) => onFailure({ error }),
      onClaimed: () => this.#courier.wake(),
    });
  }

  /** Whatever fails and is tried again. Where nobody listens, it is a warning of the process. */
  get onError(): Event<ThresholdFailure<D>> {
    return this.#failed.event;
  }

  /** Looks at all that is held, and from then on at what changes; takes what is in the outbox. */
  start(): void {
    this.#watch.start();
    this.#courier.start();
  }

  /**
   * Looks a last time at what has changed, which is kept in the outbox, and ends once what is being told has ended or timed out.
   * Stop flushing before.
   */
  async stop(): Promise<void> {
    const told = this.#courier.stop();
    await this.#watch.stop();
    await told;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Where nobody listens it must not be lost. */
export function tellFailure<D extends string>(
  failed: Emitter<ThresholdFailure<D>>,
  failure: ThresholdFailure<D>,
): void {
  if (failed.hasListeners) {
    failed.emit(failure);
    return;
  }
  const what =
    failure.event === undefined ? "looking for thresholds" : `telling of threshold event ${failure.event.id}`;
  process.emitWarning(`${what} failed, and is tried again: ${messageOf(failure.error)}`, { code: "USAGE_THRESHOLD" });
}
