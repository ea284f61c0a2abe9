import type { Clock, RejectedTally, Tally, UsageStore } from "@usage/counter-core";
import { assertDelay, type Emitter, SerialQueue, untilAborted, withinTime } from "@usage/counter-core/internal";
import { FlushTimeoutError, StoreLossError } from "./errors.ts";
import type { FlushEvent } from "./events.ts";
import type { GrantBook } from "./grants/grant-book.ts";
import { StoreReader } from "./store-reader.ts";
import type { TrackedCounter } from "./tracked-counter.ts";
import type { UsageChange } from "./usage-change.ts";

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
  /** Present where the store found that it had lost what it had: all that is counted was sent to it again. */
  readonly lost?: true;
}

/** A `FlushResult` in the making: a flush that fails may have noticed a loss before. */
interface Progress {
  stored: number;
  rejected: readonly RejectedTally[];
  lost?: true;
}

/** What is wrong with a read; absent where nothing is. */
type Failure = { readonly error: unknown } | undefined;

/** So often a flush sends everything again to a store that loses what it has just confirmed. */
const MAX_ROUNDS = 3;

export interface StoreSyncParts<D extends string> {
  readonly counter: TrackedCounter<D>;
  readonly store: UsageStore<D>;
  readonly clock: Clock;
  /** Hears what is stored. */
  readonly changes: Emitter<UsageChange<D>>;
  /** What was granted on top of limits. */
  readonly grants: GrantBook<D>;
  /** Hears that what was used is known. */
  readonly onLearned: () => void;
  /** Hears how each flush ended. */
  readonly onEnd: (event: Omit<FlushEvent<D>, "tracker">) => void;
}

/** Carries what is counted to the store, and what the store knows to the counter. */
export class StoreSync<D extends string> {
  readonly #parts: StoreSyncParts<D>;
  readonly #flushes = new SerialQueue();
  readonly #reader: StoreReader<D>;
  /** The losses of the store that are known. */
  #losses: number;

  constructor(parts: StoreSyncParts<D>) {
    const { counter, store, clock, changes } = parts;
    this.#parts = parts;
    this.#reader = new StoreReader(counter, store, clock, changes);
    this.#losses = store.losses?.() ?? 0;
  }

  /** Learns from the store. Rejects after so many milliseconds, or when `outer` aborts. */
  refresh(timeoutMs: number, outer: AbortSignal | undefined): Promise<void> {
    const { clock, grants, onLearned } = this.#parts;
    const late = (): Error => new FlushTimeoutError(timeoutMs, "reading the totals");
    return withinTime(clock, timeoutMs, late, async (signal) => {
      const either = outer === undefined ? signal : AbortSignal.any([outer, signal]);
      // Before what was used: nobody is told that a part of a limit is used that is higher by then.
      // fault: does not learn what others have granted
      await grants.read(either);
      await this.#reader.read(either);
      // The period may have changed with that.
      await grants.load(either);
      onLearned();
    });
  }

  /** See `StoreReader.cursors`. */
  get cursors(): number {
    return this.#reader.cursors;
  }

  /** See `StoreReader.readNext`. */
  readNext(backends: readonly string[]): void {
    this.#reader.readNext(backends);
  }

  /** See `UsageTracker.flush`. */
  async flush({ timeoutMs = 30_000, learn = true, signal, skip }: FlushOptions): Promise<FlushResult> {
    assertDelay("timeoutMs", timeoutMs);
    // The caller may change its set while the flush waits.
    const skipped = new Set(skip);
    return withinTime(
      this.#parts.clock,
      timeoutMs,
      () => new FlushTimeoutError(timeoutMs),
      (deadline) => {
        const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
        const flushed = this.#flushes.run(() => this.#flush(skipped, learn ? timeoutMs / 2 : undefined, either));
        return untilAborted(flushed, either);
      },
    );
  }

  async #flush(
    skip: ReadonlySet<string>,
    learnWithinMs: number | undefined,
    signal: AbortSignal,
  ): Promise<FlushResult> {
    const { clock, onEnd } = this.#parts;
    const begun = clock.now();
    const done: Progress = { stored: 0, rejected: [] };
    let failure: Failure;
    try {
      signal.throwIfAborted();
      if (learnWithinMs !== undefined) failure = await this.#learn(learnWithinMs, signal);
      signal.throwIfAborted();
      this.#discard(skip);
      await this.#send(signal, done);
    } catch (error) {
      failure = { error };
    }
    onEnd({ durationMs: Math.max(0, clock.now() - begun), ...done, ...failure });
    if (failure !== undefined) throw failure.error;
    return done;
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

  /** Merges what is not known to be stored; and all that is counted, where that shows that the store has lost what it had. */
  async #send(signal: AbortSignal, done: Progress): Promise<void> {
    const { counter, store } = this.#parts;
    this.#noticeLoss(done);
    let isLost = true;
    for (let round = 0; isLost && round < MAX_ROUNDS; round++) {
      const tallies = await untilAborted(counter.tallies(), signal);
      // A merge of nothing, too, makes a store look whether it still has what it confirmed.
      if (tallies.length === 0 && store.losses === undefined) return counter.confirm([]);
      try {
        // fault: confirms before it merges
        // fault: confirms what failed
        done.rejected = await untilAborted(store.merge(tallies, { signal, writer: counter.writer }), signal);
      } finally {
        isLost = this.#noticeLoss(done);
      }
      // What this merge has confirmed may be part of the loss.
      if (isLost) continue;
      const stored = without(tallies, done.rejected);
      counter.confirm(stored);
      this.#reader.took(stored);
      this.#tellStored(stored);
      done.stored = stored.length;
    }
    if (isLost) throw new StoreLossError(MAX_ROUNDS);
  }

  #tellStored(stored: readonly Tally[]): void {
    const { changes } = this.#parts;
    if (!changes.hasListeners) return;
    for (const [period, tallies] of Map.groupBy(stored, ({ period }) => period)) {
      changes.emit({ kind: "touched", period, backends: tallies.map(({ backend }) => backend) });
    }
  }

  #noticeLoss(done: Progress): boolean {
    const { counter, store, changes } = this.#parts;
    const losses = store.losses?.() ?? 0;
    // fault: does not send again what a store says it lost
    if (losses === this.#losses) return false;
    this.#losses = losses;
    done.lost = true;
    this.#reader.restart();
    this.#parts.grants.restart();
    counter.unconfirm();
    changes.emit({ kind: "lost" });
    return true;
  }

  #discard(skip: ReadonlySet<string>): void {
    const { counter } = this.#parts;
    for (const backend of skip) if (counter.has(backend)) counter.discard(backend);
  }
}

/** By what a tally is of, not by identity: a store may return copies, and a rejected tally must never be taken for stored. */
function without(tallies: readonly Tally[], rejected: readonly RejectedTally[]): readonly Tally[] {
  if (rejected.length === 0) return tallies;
  const keyOf = ({ writer, period, backend }: Tally): string => JSON.stringify([writer, period, backend]);
  const refused = new Set(rejected.map(({ tally }) => keyOf(tally)));
  return tallies.filter((tally) => !refused.has(keyOf(tally)));
}
