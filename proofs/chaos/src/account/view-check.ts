import { Book } from "../fleet/book.ts";
import type { AmountsByBackend } from "../fleet/messages.ts";

/** Whether what instances see is never above what was counted, and never below what they saw before. */
export class ViewCheck {
  readonly #planned = new Book();
  readonly #seen = new Map<string, Book>();

  /** Before a writer records it. */
  plan(period: string, step: readonly (readonly [backend: string, usage: Readonly<Record<string, number>>])[]): void {
    for (const [backend, usage] of step) this.#planned.add(period, backend, usage);
  }

  /**
   * What a live writer sees, in the order in which it saw it. Of what it let go of and took up meanwhile, it may know less than
   * before: others may have shared that with a Redis that has lost it. Answers what is wrong with it.
   */
  see(writer: string, period: string, view: AmountsByBackend, takenUp: readonly string[] = []): readonly string[] {
    const seen = this.#seen.get(writer) ?? new Book();
    this.#seen.set(writer, seen);
    for (const backend of takenUp) seen.forget(period, backend);
    const problems: string[] = [];
    for (const [backend, usage] of Object.entries(view)) {
      for (const [dimension, amount] of Object.entries(usage)) {
        const [before, most] = [seen.get(period, backend, dimension), this.#planned.get(period, backend, dimension)];
        const what = `${writer} sees ${amount} ${dimension} of ${backend} in ${period}`;
        if (amount < before) problems.push(`${what}, and saw ${before} before`);
        if (amount > most) problems.push(`${what}, and all together counted ${most} at most`);
      }
      seen.raise(period, backend, usage);
    }
    return problems;
  }
}
