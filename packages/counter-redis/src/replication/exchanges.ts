import type { Clock } from "@usage/counter-core";
import { assertDelay, inTime, SerialQueue } from "@usage/counter-core/internal";
import { PushTimeoutError } from "../server/errors.ts";

/**
 * Exchanges with Redis, one after the other. An exchange is a call, or one for each of a list. A reply that comes after its
 * deadline is ignored: so the replies that are taken are in the order in which Redis made them.
 */
export class Exchanges {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #late = (): Error => new PushTimeoutError(this.#timeoutMs);
  readonly #queue = new SerialQueue();
  #replies = 0;

  /** @throws RangeError for a time that is out of range. */
  constructor(clock: Clock, timeoutMs: number) {
    assertDelay("pushTimeoutMs", timeoutMs);
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** How many came in time. */
  get replies(): number {
    return this.#replies;
  }

  /** @param then - Takes the reply before the next exchange begins. */
  run<T, R>(call: () => Promise<T>, then: (reply: T) => R): Promise<R> {
    return this.#queue.run(async () => then(await this.inTime(call)));
  }

  /**
   * A call for each of these, `atOnce` of them at the same time, in their order; `then` takes each reply, `failed` each failure.
   * What fails holds up no other.
   */
  each<B, T>(
    list: readonly B[],
    call: (one: B) => Promise<T>,
    then: (one: B, reply: T) => void,
    failed: (one: B, error: unknown) => void,
    atOnce: number,
  ): Promise<void> {
    return this.#queue.run(async () => {
      const underWay: Promise<() => void>[] = [];
      let sent = 0;
      const send = (one: B): Promise<() => void> => {
        // fault: looks at replies that it had given up on
        return this.inTime(() => call(one)).then(
          (reply) => () => then(one, reply),
          (error: unknown) => () => failed(one, error),
        );
      };
      while (underWay.length > 0 || sent < list.length) {
        while (sent < list.length && underWay.length < atOnce) underWay.push(send(list[sent++] as B));
        const take = await underWay.shift();
        take?.();
      }
    });
  }

  /** `each` of all at once, and not in turn with others: what is returned must not depend on when. */
  async eachInTime<B, T>(
    list: readonly B[],
    call: (one: B) => Promise<T>,
    then: (one: B, reply: T) => void,
    failed: (one: B, error: unknown) => void,
  ): Promise<void> {
    const taken = (one: B): Promise<void> =>
      this.inTime(() => call(one)).then(
        (reply) => then(one, reply),
        (error: unknown) => failed(one, error),
      );
    await Promise.all(list.map(taken));
  }

  /** A call that is not in turn with others: what it returns must not depend on when. */
  async inTime<T>(call: () => Promise<T>): Promise<T> {
    const reply = await inTime(this.#clock, this.#timeoutMs, this.#late, call);
    this.#replies += 1;
    return reply;
  }
}
