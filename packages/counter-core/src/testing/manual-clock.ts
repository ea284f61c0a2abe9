import type { Clock } from "../model/clock.ts";

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is told otherwise. */
export class ManualClock implements Clock {
  readonly #timers = new Set<Timer>();
  #nowMs: number;
  #elapsedMs = 0;

  constructor(start: Date | string | number) {
    this.#nowMs = new Date(start).getTime();
    if (Number.isNaN(this.#nowMs)) throw new RangeError(`start must be a date, got ${String(start)}`);
  }

  now(): number {
    return this.#nowMs;
  }

  elapsed(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { dueMs: this.#elapsedMs + Math.max(delayMs, 0), callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass and calls what falls due, in order. */
  advance(ms: number): void {
    const until = this.#elapsedMs + ms;
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#nowMs += next.dueMs - this.#elapsedMs;
      this.#elapsedMs = next.dueMs;
      this.#timers.delete(next);
      next.callback();
    }
    this.#nowMs += until - this.#elapsedMs;
    this.#elapsedMs = until;
  }

  /** Sets the wall clock without letting time pass: a step, or a machine that was suspended. No timer is called. */
  set(time: Date | string | number): void {
    this.#nowMs = new Date(time).getTime();
  }

  #next(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= untilMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }
}
