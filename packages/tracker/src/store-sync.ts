import type { Clock, RejectedTally, Tally, UsageStore } from "@usage/counter-core";
import { assertDelay, SerialQueue, untilAborted, withinTime } from "@usage/counter-core/internal";
import { FlushTimeoutError } from "./errors.ts";
import type { FlushEvent } from "./events.ts";
import type { TrackedCounter } from "./tracked-counter.ts";

export interface RefreshOptions {
  /** Aborting it rejects the refresh with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface FlushOptions extends RefreshOptions {
  /**
   * Backends whose counts on this instance are discarded instead; the same on all instances. Those that are not held here have
   * none. @default none
   */
  readonly skip?: ReadonlySet<string>;
  /** How long it may take, in milliseconds, its turn after other flushes included; half of it at most to learn. @default 30_000 */
  readonly timeoutMs?: number;
  /** Whether it learns first what others used. @default true */
  readonly learn?: boolean;
}

export interface FlushResult {
  /** Tallies that the store has taken. */
  readonly stored: number;
  /** Tallies that it will never take; they stay in the counter and are tried again. */
  readonly rejected: readonly RejectedTally[];
}

/** What is wrong with a read; absent where nothing is. */
type Failure = { readonly error: unknown } | undefined;

export interface StoreSyncParts<D extends string> {
  readonly counter: TrackedCounter<D>;
  readonly store: UsageStore<D>;
  readonly clock: Clock;
  /** Hears that what was used is known. */
  readonly onLearned: () => void;
  /** Hears how each flush ended. */
  readonly onEnd: (event: Omit<FlushEvent<D>, "tracker">) => void;
}

/** Carries what is counted to the store, and what the store knows to the counter. */
export class StoreSync<D extends string> {
  readonly #parts: StoreSyncParts<D>;
  readonly #flushes = new SerialQueue();

  constructor(parts: StoreSyncParts<D>) {
    this.#parts = parts;
  }

  /** Learns from the store. Rejects after so many milliseconds, or when `outer` aborts. */
  refresh(timeoutMs: number, outer: AbortSignal | undefined): Promise<void> {
    const late = new FlushTimeoutError(timeoutMs, "reading the totals");
    return withinTime(this.#parts.clock, timeoutMs, late, (signal) => {
      return this.#refresh(outer === undefined ? signal : AbortSignal.any([outer, signal]));
    });
  }

  /** See `UsageTracker.flush`. */
  async flush({ timeoutMs = 30_000, learn = true, signal, skip }: FlushOptions): Promise<FlushResult> {
    assertDelay("timeoutMs", timeoutMs);
    // The caller may change its set while the flush waits.
    const skipped = new Set(skip);
    return withinTime(this.#parts.clock, timeoutMs, new FlushTimeoutError(timeoutMs), (deadline) => {
      const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
      const flushed = this.#flushes.run(() => this.#flush(skipped, learn ? timeoutMs / 2 : undefined, either));
      return untilAborted(flushed, either);
    });
  }

  async #flush(
    skip: ReadonlySet<string>,
    learnWithinMs: number | undefined,
    signal: AbortSignal,
  ): Promise<FlushResult> {
    const { clock, onEnd } = this.#parts;
    const begun = clock.now();
    let failure: Failure;
    let result: FlushResult = { stored: 0, rejected: [] };
    try {
      signal.throwIfAborted();
      if (learnWithinMs !== undefined) failure = await this.#learn(learnWithinMs, signal);
      signal.throwIfAborted();
      result = await this.#send(skip, signal);
    } catch (error) {
      failure = { error };
    }
    onEnd({ durationMs: Math.max(0, clock.now() - begun), ...result, ...failure });
    if (failure !== undefined) throw failure.error;
    return result;
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const { counter, store, onLearned } = this.#parts;
    for (;;) {
      const { key } = counter.period();
      const stored = await untilAborted(store.totals(key, counter.writer), signal);
      const wanted = counter.learn(key, stored);
      if (wanted.length > 0) {
        const rows = await untilAborted(store.tallies(key, wanted), signal);
        await untilAborted(counter.absorb(rows), signal);
      }
      // Where the period has changed meanwhile, nothing is known of the new one.
      if (counter.period().key === key) break;
    }
    onLearned();
  }

  /** Reading millions of rows may take too long; the rest of the time is left to store what is counted. */
  async #learn(timeoutMs: number, signal: AbortSignal): Promise<Failure> {
    try {
      await this.refresh(timeoutMs, signal);
      return undefined;
    } catch (error) {
      // fault: stores nothing when it cannot read
      return { error };
    }
  }

  async #send(skip: ReadonlySet<string>, signal: AbortSignal): Promise<FlushResult> {
    const { counter, store } = this.#parts;
    for (const backend of skip) if (counter.has(backend)) counter.discard(backend);
    const tallies = await untilAborted(counter.tallies(), signal);
    // fault: confirms before it merges
    // fault: confirms what failed
    const rejected = tallies.length === 0 ? [] : await untilAborted(store.merge(tallies, { signal }), signal);
    const stored = without(tallies, rejected);
    counter.confirm(stored);
    return { stored: stored.length, rejected };
  }
}

/** By what a tally is of, not by identity: a store may return copies, and a rejected tally must never be taken for stored. */
function without(tallies: readonly Tally[], rejected: readonly RejectedTally[]): readonly Tally[] {
  if (rejected.length === 0) return tallies;
  const keyOf = ({ writer, period, backend }: Tally): string => JSON.stringify([writer, period, backend]);
  const refused = new Set(rejected.map(({ tally }) => keyOf(tally)));
  return tallies.filter((tally) => !refused.has(keyOf(tally)));
}
