import type { Clock } from "@usage/counter-core";
import { PushTimeoutError } from "./errors.ts";

/**
 * One exchange with the shared counts at a time, each with a deadline. The reply to one that was given up on is never looked
 * at: so every reply that is was made after all those that were looked at before it.
 */
export class Exchanges {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #last: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Runs `exchange` after those before it, and `then`, with its reply, before those after it. */
  run<T, R>(exchange: () => Promise<T>, then: (reply: T) => R): Promise<R> {
    // fault: looks at replies that it had given up on
    const result = this.#last.then(() => this.#withDeadline(exchange)).then(then);
    this.#last = result.catch(() => {});
    return result;
  }

  async #withDeadline<T>(exchange: () => Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#clock.after(this.#timeoutMs, () => late.reject(new PushTimeoutError(this.#timeoutMs)));
    try {
      return await Promise.race([exchange(), late.promise]);
    } finally {
      cancel();
    }
  }
}
