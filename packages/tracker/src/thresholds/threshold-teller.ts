import type { Clock, Event } from "@usage/counter-core";
import { Emitter, messageOf } from "@usage/counter-core/internal";
import type { UsageTracker } from "../usage-tracker.ts";
import { NoticeCourier } from "./notice-courier.ts";
import type { ThresholdFailure } from "./threshold-event.ts";
import { type CheckableOptions, type CheckedThresholdOptions, checkedThresholdOptions } from "./threshold-options.ts";
import { ThresholdWatch } from "./threshold-watch.ts";

/** Watches trackers of one store, one for each window, and tells of what is reached in any of them. */
export class ThresholdTeller<D extends string> {
  readonly #options: CheckedThresholdOptions<D>;
  readonly #clock: Clock;
  readonly #courier: NoticeCourier<D>;
  readonly #watches: ThresholdWatch<D>[] = [];
  readonly #failed = new Emitter<ThresholdFailure<D>>();
  /** Of what the process was warned. */
  readonly #warned = new Set<string>();
  #isRunning = false;

  /** @throws TypeError or RangeError that names the option that is wrong. */
  constructor(store: object, options: CheckableOptions<D>, clock: Clock) {
    this.#options = checkedThresholdOptions(store, options);
    this.#clock = clock;
    this.#courier = new NoticeCourier({ ...this.#options, clock, onFailure: (failure) => this.#fail(failure) });
  }

  get onError(): Event<ThresholdFailure<D>> {
    return this.#failed.event;
  }

  get isWatching(): boolean {
    return this.#watches.length > 0;
  }

  watch(tracker: UsageTracker<D>, window: string | undefined): void {
    const { channel, thresholdsOf } = this.#options;
    const watch = new ThresholdWatch({
      tracker,
      thresholdsOf: (backend) => thresholdsOf(backend, window),
      channel,
      window,
      clock: this.#clock,
      onError: (error) => this.#fail({ error }),
      onClaimed: () => this.#courier.wake(),
    });
    this.#watches.push(watch);
    if (this.#isRunning) watch.start();
  }

  start(): void {
    this.#isRunning = true;
    for (const watch of this.#watches) watch.start();
    this.#courier.start();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    const told = this.#courier.stop();
    for (const watch of this.#watches) await watch.stop();
    await told;
  }

  /** Where nobody listens it must not be lost; while the database is away it would be said every ten seconds. */
  #fail(failure: ThresholdFailure<D>): void {
    if (this.#failed.hasListeners) {
      this.#failed.emit(failure);
      return;
    }
    const { event, error } = failure;
    const what = event === undefined ? "to look for thresholds" : "to tell of a threshold";
    if (this.#warned.has(what)) return;
    this.#warned.add(what);
    const advice = "listen to onThresholdError, or a notifier's onError, to hear of each";
    process.emitWarning(`${what} failed, and is tried again: ${messageOf(error)}; ${advice}`, {
      code: "USAGE_THRESHOLD",
    });
  }
}
