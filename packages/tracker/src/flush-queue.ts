import {
  type MergeOptions,
  type RejectedTally,
  type Tally,
  type TallySource,
  UnknownBackendError,
  type UsageCounter,
  type UsageStore,
} from "@usage/counter-core";
import { type FlushMessage, flushChannel } from "./channels.ts";
import { StoreLossError } from "./errors.ts";
import { assertDimensions } from "./store-dimensions.ts";
import { untilAborted } from "./until-aborted.ts";

export interface FlushOptions {
  /** Backends whose counts on this instance are discarded instead; the same on all instances. @default none */
  readonly skip?: ReadonlySet<string>;
  /** Aborting it rejects the flush with the signal's reason; what was sent may still be stored, which does no harm. */
  readonly signal?: AbortSignal;
  /** Is done first, as soon as it is this flush's turn. Where it fails, the flush stores all the same, and then rejects. @default nothing */
  readonly first?: () => Promise<unknown>;
}

export interface FlushResult {
  /** Tallies that the store has taken. */
  readonly stored: number;
  /** Tallies that it will never take; they stay in the counter and are tried again. */
  readonly rejected: readonly RejectedTally[];
  /**
   * Present where the store had lost what it had confirmed, as when its file is deleted. All that this counter still holds
   * was sent again in this flush; what others had stored there is gone.
   */
  readonly lost?: true;
}

/** A flush sends again what it finds lost; what is lost over and over is left to the flushes after it. */
const MAX_ROUNDS = 3;

/**
 * Carries tallies from a counter to stores. A flush waits for the one before it, unless one of the two is aborted; two at
 * once would do no harm, but send the same twice.
 */
export class FlushQueue<D extends string> {
  readonly #counter: UsageCounter<D> & TallySource<D>;
  readonly #waiting = new Set<WaitingFlush<D>>();
  readonly #losses = new WeakMap<UsageStore<D>, number>();
  #last: Promise<unknown> | undefined;

  constructor(counter: UsageCounter<D> & TallySource<D>) {
    this.#counter = counter;
  }

  flush(store: UsageStore<D>, given: FlushOptions): Promise<FlushResult> {
    // The caller may change its set while the flush waits.
    const options: FlushOptions = given.skip === undefined ? given : { ...given, skip: new Set(given.skip) };
    const waiting = [...this.#waiting].find((other) => other.store === store && sameOptions(other.options, options));
    if (waiting !== undefined) return waiting.result;
    const before = this.#last;
    const result = before === undefined ? this.#flush(store, options) : this.#flushAfter(before, store, options);
    const last = result.then(
      () => {},
      () => {},
    );
    this.#last = last;
    void last.then(() => {
      if (this.#last === last) this.#last = undefined;
    });
    return result;
  }

  #flushAfter(before: Promise<unknown>, store: UsageStore<D>, options: FlushOptions): Promise<FlushResult> {
    const run = async (): Promise<FlushResult> => {
      await untilAborted(before, options.signal);
      // From here on it reads counts, so a later caller's would no longer all be in it.
      this.#waiting.delete(waiting);
      return this.#flush(store, options);
    };
    const waiting: WaitingFlush<D> = { store, options, result: run() };
    this.#waiting.add(waiting);
    return waiting.result.finally(() => this.#waiting.delete(waiting));
  }

  async #flush(store: UsageStore<D>, { first, skip, signal }: FlushOptions): Promise<FlushResult> {
    // Not before `flush` has noted that this one runs: who listens on the channel may call it again.
    await undefined;
    const done: Progress = { stored: 0, rejected: [] };
    let failure: { readonly error: unknown } | undefined;
    try {
      assertDimensions(store, this.#counter);
      signal?.throwIfAborted();
      if (first !== undefined) {
        await untilAborted(first(), signal).catch((error: unknown) => {
          // fault: stores nothing when it cannot read
          failure = { error };
        });
        signal?.throwIfAborted();
      }
      if (skip !== undefined) this.#discard(skip);
      await this.#send(store, signal, done);
    } catch (error) {
      failure = { error };
    }
    if (flushChannel.hasSubscribers) {
      const message: FlushMessage = { ...done, ...failure };
      flushChannel.publish(message);
    }
    if (failure !== undefined) throw failure.error;
    return done;
  }

  /** Merges what is not known to be stored; and all that is counted, where that shows that the store has lost what it had. */
  async #send(store: UsageStore<D>, signal: AbortSignal | undefined, done: Progress): Promise<void> {
    const options: MergeOptions = signal === undefined ? {} : { signal };
    this.#noticeLoss(store, done);
    let lost = true;
    for (let round = 0; lost && round < MAX_ROUNDS; round++) {
      const tallies = await untilAborted(this.#counter.tallies(), signal);
      // A merge of nothing, too, makes a store look whether it still has what it confirmed.
      if (tallies.length === 0 && store.losses === undefined) return;
      try {
        // fault: settles before it merges
        // fault: settles what failed
        done.rejected = await untilAborted(store.merge(tallies, options), signal);
      } finally {
        lost = this.#noticeLoss(store, done);
      }
      // What this merge has confirmed may be part of the loss.
      if (lost) continue;
      const settled = without(tallies, done.rejected);
      this.#counter.settle(settled);
      done.stored = settled.length;
    }
    if (lost) throw new StoreLossError(MAX_ROUNDS);
  }

  #noticeLoss(store: UsageStore<D>, done: Progress): boolean {
    const losses = store.losses?.() ?? 0;
    const known = this.#losses.get(store) ?? losses;
    this.#losses.set(store, losses);
    // fault: does not send again what a store says it lost
    if (losses === known) return false;
    done.lost = true;
    this.#counter.unsettle();
    return true;
  }

  #discard(skip: ReadonlySet<string>): void {
    const known = new Set(this.#counter.backends());
    for (const backend of skip) if (!known.has(backend)) throw new UnknownBackendError(backend);
    for (const backend of skip) this.#counter.discard(backend);
  }
}

/** A `FlushResult` in the making: a flush that fails may have noticed a loss before. */
interface Progress {
  stored: number;
  rejected: readonly RejectedTally[];
  lost?: true;
}

interface WaitingFlush<D extends string> {
  readonly store: UsageStore<D>;
  readonly options: FlushOptions;
  readonly result: Promise<FlushResult>;
}

function sameOptions(a: FlushOptions, b: FlushOptions): boolean {
  if (a.signal !== b.signal || a.first !== b.first) return false;
  const [skipA, skipB] = [a.skip ?? new Set<string>(), b.skip ?? new Set<string>()];
  return skipA.size === skipB.size && [...skipA].every((backend) => skipB.has(backend));
}

/** By what a tally is of, not by identity: a store may answer copies, and a rejected tally must never be settled. */
function without(tallies: readonly Tally[], rejected: readonly RejectedTally[]): readonly Tally[] {
  if (rejected.length === 0) return tallies;
  const keyOf = ({ writer, period, backend }: Tally): string => JSON.stringify([writer, period, backend]);
  const refused = new Set(rejected.map(({ tally }) => keyOf(tally)));
  return tallies.filter((tally) => !refused.has(keyOf(tally)));
}
