import type { Clock, Hold, HoldOptions, Usage } from "@usage/counter-core";
import type { TrackedCounter } from "./tracked-counter.ts";

/** A counter that asks others for room takes whoever has not asked for a second for gone. In milliseconds. */
const ASK_AGAIN_MS = 400;

export interface ReserveOptions extends HoldOptions {
  /** How long it may wait for room, in milliseconds. @default 0 */
  readonly waitMs?: number;
  /** Aborting it rejects with the signal's reason; nothing is held then. */
  readonly signal?: AbortSignal;
}

interface Waiting<D extends string> {
  readonly usage: Partial<Usage<D>>;
  readonly options: HoldOptions;
  readonly resolve: (hold: Hold<D> | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Those who wait until there is room for what they will use: who came first is tried first, for each backend by itself. */
export class WaitingRoom<D extends string> {
  readonly #counter: TrackedCounter<D>;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<Waiting<D>>>();
  #listening: Disposable | undefined;
  #stopAsking: (() => void) | undefined;

  constructor(counter: TrackedCounter<D>, clock: Clock) {
    this.#counter = counter;
    this.#clock = clock;
  }

  /** Resolves to undefined where there was no room in time. */
  wait(
    backend: string,
    usage: Partial<Usage<D>>,
    waitMs: number,
    { signal, ...options }: ReserveOptions,
  ): Promise<Hold<D> | undefined> {
    return new Promise((resolve, reject) => {
      // Who has stopped waiting must not be given anything, also in the same turn of the event loop.
      const end = (): void => {
        this.#leave(backend, waiting);
        cancelTimer();
        signal?.removeEventListener("abort", abort);
      };
      const abort = (): void => {
        end();
        reject(signal?.reason);
      };
      const waiting: Waiting<D> = {
        // The caller may change it while it waits.
        usage: { ...usage },
        options,
        resolve: (hold) => {
          end();
          resolve(hold);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      const cancelTimer = this.#clock.after(waitMs, () => waiting.resolve(undefined));
      signal?.addEventListener("abort", abort, { once: true });
      this.#enter(backend, waiting);
    });
  }

  #enter(backend: string, waiting: Waiting<D>): void {
    const others = this.#waiting.get(backend);
    if (others === undefined) this.#waiting.set(backend, new Set([waiting]));
    else others.add(waiting);
    this.#listening ??= this.#counter.onFreed((freed) => this.#try(freed));
    if (this.#stopAsking === undefined) this.#askAgain();
  }

  #leave(backend: string, waiting: Waiting<D>): void {
    const all = this.#waiting.get(backend);
    all?.delete(waiting);
    if (all?.size === 0) this.#waiting.delete(backend);
    if (this.#waiting.size > 0) return;
    this.#listening?.[Symbol.dispose]();
    this.#listening = undefined;
    this.#stopAsking?.();
    this.#stopAsking = undefined;
  }

  #askAgain(): void {
    this.#stopAsking = this.#clock.after(ASK_AGAIN_MS, () => {
      this.#stopAsking = undefined;
      for (const backend of [...this.#waiting.keys()]) this.#try(backend);
      if (this.#waiting.size > 0 && this.#stopAsking === undefined) this.#askAgain();
    });
  }

  #try(backend: string): void {
    // Not a copy: there may be thousands, and each hold that ends lets the first of them try. Those who get one leave meanwhile.
    for (const waiting of this.#waiting.get(backend) ?? []) {
      try {
        const hold = this.#counter.hold(backend, waiting.usage, waiting.options);
        // Whoever came later may want less; the one before has waited longer.
        if (hold === undefined) return;
        waiting.resolve(hold);
      } catch (error) {
        waiting.reject(error);
      }
    }
  }
}
