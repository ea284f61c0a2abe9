import type { Clock } from "@usage/counter-core";

const RETRY_MS = 1_000;
/** A store that has not answered for so long is asked again, in milliseconds. What it answers later counts all the same. */
const PATIENCE_MS = 5_000;

/** One question at a time to a store that may hang or fail. Not in turn with exchanges: it holds up nothing. */
export class Attempts {
  readonly #clock: Clock;
  #againAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Does nothing while the last one is under way, or has just failed. Does not reject. */
  async run(ask: () => Promise<void>): Promise<void> {
    if (this.#clock.elapsed() < this.#againAtMs) return;
    // fault: waits for a claim of slices that is never answered
    this.#againAtMs = this.#clock.elapsed() + PATIENCE_MS;
    try {
      await ask();
      this.#againAtMs = Number.NEGATIVE_INFINITY;
    } catch {
      this.#againAtMs = this.#clock.elapsed() + RETRY_MS;
    }
  }
}
