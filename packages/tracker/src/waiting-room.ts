import type { Clock, Event, HoldOptions } from "@usage/counter-core";
import { assertDelay } from "@usage/counter-core/internal";

/** A counter that asks others for room takes whoever has not asked for a second for gone. In milliseconds. */
const ASK_AGAIN_MS = 400;

export interface WaitOptions {
  /** How long it may wait for room, in milliseconds. @default 0 */
  readonly waitMs?: number;
  /** Aborting it rejects with the signal's reason; nothing is held then. */
  readonly signal?: AbortSignal;
}

export interface ReserveOptions extends HoldOptions, WaitOptions {}

/** What somebody waits for. */
export interface Wish<T> {
  /** Returns undefined where there is no room. */
  readonly take: () => T | undefined;
  /** Whether waiting is in vain: what was used leaves no room. */
  readonly isHopeless: () => boolean;
}

interface Waiting {
  /** Whether it waits no longer. */
  readonly try: () => boolean;
}

/** Those who wait until there is room for what they will use: who came first is tried first, for each backend by itself. */
export class WaitingRoom {
  readonly #onFreed: Event<string>;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<Waiting>>();
  #listening: Disposable | undefined;
  #stopAsking: (() => void) | undefined;

  /** @param onFreed - Each backend of which something is free again. */
  constructor(onFreed: Event<string>, clock: Clock) {
    this.#onFreed = onFreed;
    this.#clock = clock;
  }

  /** Takes it now, or waits for it. Resolves to undefined where there was no room in time, or will be none. */
  async take<T>(backend: string, wish: Wish<T>, { waitMs = 0, signal }: WaitOptions): Promise<T | undefined> {
    assertDelay("waitMs", waitMs, 0);
    signal?.throwIfAborted();
    const taken = wish.take();
    if (taken !== undefined || waitMs === 0 || wish.isHopeless()) return taken;
    return this.#wait(backend, wish, waitMs, signal);
  }

  #wait<T>(backend: string, wish: Wish<T>, waitMs: number, signal: AbortSignal | undefined): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      // Who has stopped waiting must not be given anything, also in the same turn of the event loop.
      const end = (tell: () => void): void => {
        this.#leave(backend, waiting);
        cancelTimer();
        signal?.removeEventListener("abort", abort);
        tell();
      };
      const abort = (): void => end(() => reject(signal?.reason));
      const waiting: Waiting = {
        try: () => {
          try {
            const taken = wish.take();
            if (taken === undefined && !wish.isHopeless()) return false;
            end(() => resolve(taken));
          } catch (error) {
            end(() => reject(error));
          }
          return true;
        },
      };
      const cancelTimer = this.#clock.after(waitMs, () => end(() => resolve(undefined)));
      signal?.addEventListener("abort", abort, { once: true });
      this.#enter(backend, waiting);
    });
  }

  #enter(backend: string, waiting: Waiting): void {
    const others = this.#waiting.get(backend);
    if (others === undefined) this.#waiting.set(backend, new Set([waiting]));
    else others.add(waiting);
    this.#listening ??= this.#onFreed((freed) => this.#try(freed));
    if (this.#stopAsking === undefined) this.#askAgain();
  }

  #leave(backend: string, waiting: Waiting): void {
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
      // Whoever came later may want less; the one before has waited longer.
      if (!waiting.try()) return;
    }
  }
}
