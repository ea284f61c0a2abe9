import type { Clock } from "@usage/counter-core";

/** A clock that stands until it is moved, and then calls what is due, in order. */
export class FakeClock implements Clock {
  #nowMs: number;
  readonly #due = new Map<symbol, { readonly atMs: number; readonly callback: () => void }>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  elapsed(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = Symbol("timer");
    this.#due.set(timer, { atMs: this.#nowMs + delayMs, callback });
    return () => void this.#due.delete(timer);
  }

  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const [next] = [...this.#due].filter(([, { atMs }]) => atMs <= untilMs).sort(([, a], [, b]) => a.atMs - b.atMs);
      if (next === undefined) break;
      const [timer, { atMs, callback }] = next;
      this.#due.delete(timer);
      this.#nowMs = Math.max(this.#nowMs, atMs);
      callback();
    }
    this.#nowMs = untilMs;
  }
}
