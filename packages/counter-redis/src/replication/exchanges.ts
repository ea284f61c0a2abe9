import type { Clock } from "@usage/counter-core";
import { SerialQueue, withinTime } from "@usage/counter-core/internal";
import { PushTimeoutError } from "../server/errors.ts";

/**
 * Exchanges with Redis, one after the other. An exchange is a call, or one for each of several buckets at once. A reply that
 * comes after its deadline is ignored: so the replies that are taken are in the order in which Redis made them.
 */
export class Exchanges {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #queue = new SerialQueue();

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** @param then Takes the reply before the next exchange begins. */
  run<T, R>(call: () => Promise<T>, then: (reply: T) => R): Promise<R> {
    return this.#queue.run(async () => then(await this.inTime(call)));
  }

  /**
   * A call for each of these, all at once; `then` takes each reply. What fails holds up no other.
   *
   * @returns what failed, by what it was for; in a cluster, some nodes may be away and others not.
   */
  each<B, T>(
    list: readonly B[],
    call: (one: B) => Promise<T>,
    then: (one: B, reply: T) => void,
  ): Promise<Map<B, unknown>> {
    return this.#queue.run(async () => {
      const failures = new Map<B, unknown>();
      const replies = await Promise.allSettled(list.map((one) => this.inTime(() => call(one))));
      replies.forEach((reply, i) => {
        const one = list[i] as B;
        if (reply.status === "fulfilled") then(one, reply.value);
        else failures.set(one, reply.reason);
      });
      return failures;
    });
  }

  /** A call that is not in turn with others: what it returns must not depend on when. */
  inTime<T>(call: () => Promise<T>): Promise<T> {
    return withinTime(this.#clock, this.#timeoutMs, new PushTimeoutError(this.#timeoutMs), call);
  }
}
