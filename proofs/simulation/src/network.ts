import type { Machine } from "./machine.ts";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** What can go wrong on the way to a server, each with its probability. */
export interface Faults {
  /** The server cannot be reached; one knows at once. */
  down: boolean;
  /** Nothing comes back; what is sent does not arrive. */
  silent: boolean;
  lostRequest: number;
  lostReply: number;
  /** The request arrives once more, later. */
  doubled: number;
  /** A request or reply takes up to three seconds. */
  late: number;
}

export const NO_FAULTS: Readonly<Faults> = {
  down: false,
  silent: false,
  lostRequest: 0,
  lostReply: 0,
  doubled: 0,
  late: 0,
};

/** The way from a process to a server. Requests may overtake each other, as on several connections. */
export class Network {
  readonly faults: Faults = { ...NO_FAULTS };
  readonly #timeline: Timeline;
  readonly #random: Random;

  constructor(timeline: Timeline, random: Random) {
    this.#timeline = timeline;
    this.#random = random;
  }

  /** Runs `execute` at the server, at some time, and answers its result, perhaps. */
  call<T>(from: Machine, execute: () => T): Promise<T> {
    const { down, silent, lostRequest, lostReply, doubled } = this.faults;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const reply = (settle: () => void): void => void this.#timeline.after(this.#delayMs(), () => from.run(settle));
    if (down) {
      reply(() => reject(new Error("connection refused")));
      return promise;
    }
    const isCut = this.#timeline.nowMs < from.cutUntilMs;
    if (silent || isCut || this.#random.chance(lostRequest)) return promise;
    if (this.#random.chance(doubled))
      this.#timeline.after(this.#delayMs() + this.#random.below(3_000), () => void attempt(execute));
    const isReplyLost = this.#random.chance(lostReply);
    this.#timeline.after(this.#delayMs(), () => {
      if (this.faults.silent) return;
      const outcome = attempt(execute);
      if (isReplyLost) return;
      reply(() => ("error" in outcome ? reject(outcome.error) : resolve(outcome.value)));
    });
    return promise;
  }

  #delayMs(): number {
    return this.#random.chance(this.faults.late) ? this.#random.below(3_000) : this.#random.below(3);
  }
}

function attempt<T>(execute: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: execute() };
  } catch (error) {
    return { error };
  }
}
