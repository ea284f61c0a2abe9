import type { Clock } from "@usage/counter-core";
import type { Timeline } from "./timeline.ts";

/** One process as the world sees it: it can be frozen and thawed, and killed; its clock is off by some seconds. */
export class Machine {
  readonly clock: Clock;
  readonly rate: number;
  /** Until when nothing that it sends arrives. */
  cutUntilMs = 0;
  #state: "running" | "frozen" | "dead" = "running";
  #waiting: (() => void)[] = [];

  /** @param rate - How fast its clock runs. */
  constructor(timeline: Timeline, skewMs: number, rate = 1) {
    this.rate = rate;
    this.clock = {
      now: () => timeline.nowMs + skewMs,
      elapsed: () => timeline.nowMs * rate,
      after: (delayMs, callback) => timeline.after(delayMs, () => this.run(callback)),
    };
  }

  get isDead(): boolean {
    return this.#state === "dead";
  }

  get isRunning(): boolean {
    return this.#state === "running";
  }

  /** Lets something happen to the process: now, when it thaws, or never. */
  run(callback: () => void): void {
    if (this.#state === "running") callback();
    else if (this.#state === "frozen") this.#waiting.push(callback);
  }

  freeze(): void {
    if (this.#state === "running") this.#state = "frozen";
  }

  thaw(): void {
    if (this.#state !== "frozen") return;
    this.#state = "running";
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) callback();
  }

  kill(): void {
    this.#state = "dead";
    this.#waiting = [];
  }
}
