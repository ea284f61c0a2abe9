import type { Clock } from "@usage/counter-core";

/** Something that is done at most once in an interval. A clock that was set back holds nothing up. */
export class Pace {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** Whether it is time; if so, the interval begins again. */
  isDue(): boolean {
    const nowMs = this.#clock.now();
    if (Math.abs(nowMs - this.#lastMs) < this.#intervalMs) return false;
    this.#lastMs = nowMs;
    return true;
  }

  /** It is time, whenever the interval began. */
  again(): void {
    this.#lastMs = Number.NEGATIVE_INFINITY;
  }
}
