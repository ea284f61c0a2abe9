import type { Clock, UsageStore } from "@usage/counter-core";

export interface TimelineFolderOptions {
  /** One that keeps no timeline is left alone. */
  readonly store: Pick<UsageStore, "foldTimeline">;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

const DAY_MS = 86_400_000;
/** A month by hour, and some days to look back from its end. */
const HOURS_KEPT_MS = 35 * DAY_MS;
/** Thirteen months. */
const DAYS_KEPT_MS = 397 * DAY_MS;
const INTERVAL_MS = 6 * 3_600_000;

/** Keeps a timeline from growing: hours are kept for 35 days, days for thirteen months. Several instances may do so at once. */
export class TimelineFolder {
  readonly #options: TimelineFolderOptions;
  #cancel: (() => void) | undefined;
  #folding: Promise<void> = Promise.resolve();

  constructor(options: TimelineFolderOptions) {
    this.#options = options;
  }

  /** Folds in some hours, and then again and again until it is stopped. */
  start(): void {
    if (this.#options.store.foldTimeline === undefined) return;
    // Instances that are started at once do not fold at once.
    this.#cancel = this.#options.clock.after(INTERVAL_MS * (0.5 + this.#options.random() / 2), () => {
      this.#folding = this.#fold();
      this.start();
    });
  }

  /** Resolves once it folds no more. Does not reject. */
  async stop(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#folding;
  }

  async #fold(): Promise<void> {
    const { store, clock } = this.#options;
    const nowMs = clock.now();
    const ages = { hoursBefore: nowMs - HOURS_KEPT_MS, daysBefore: nowMs - DAYS_KEPT_MS };
    // What fails is folded by the next one.
    await store.foldTimeline?.(ages).catch(() => {});
  }
}
