import { type Clock, isWrittenBy, type Period, type StorageDimension, systemClock } from "@usage/counter-core";
import { assertDelay, inTime } from "@usage/counter-core/internal";
import { FlushError, FlushTimeoutError } from "./errors.ts";
import type { FlushOptions, FlushResult } from "./store-sync.ts";
import type { UsageTracker } from "./usage-tracker.ts";

/** When to flush. */
export interface FlushSchedule {
  /** The longest time from the end of one flush to the start of the next, in milliseconds. @default 30_000 */
  readonly intervalMs?: number;
  /** The same while any backend is near a limit, and after a change of the period, in milliseconds. @default 5_000 */
  readonly nearLimitIntervalMs?: number;
  /** The part of a limit from which a backend is near it. @default 0.8 */
  readonly nearLimitRatio?: number;
  /** How long one flush may take, in milliseconds; half of it at most to learn what others used. @default 30_000 */
  readonly timeoutMs?: number;
}

export interface UsageFlusherOptions<D extends string = StorageDimension> extends FlushSchedule {
  readonly tracker: UsageTracker<D>;
  /** Backends that each flush skips; see `FlushOptions.skip`. @default none */
  readonly skip?: () => ReadonlySet<string>;
  /** @default systemClock */
  readonly clock?: Clock;
  /** Uniform in [0, 1); spreads instances that started together. @default Math.random */
  readonly random?: () => number;
  /** Aborting it ends the schedule without a last flush. */
  readonly signal?: AbortSignal;
}

export interface FlusherStatus {
  /** When the last good flush ended, in milliseconds since the Unix epoch; absent before the first. */
  readonly lastFlushMs?: number;
  /** Why the last flush failed; absent after a good one. */
  readonly lastError?: unknown;
  /** Failed flushes since the last good one. */
  readonly failures: number;
}

const JITTER = 0.1;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;

/**
 * Decides when a tracker flushes: at least every `intervalMs`, sooner while any backend is near a limit or when the period
 * has changed, and after a failure with exponentially growing pauses of 1 s to 30 s (or the interval, where that is longer).
 * Its timers do not keep the process alive.
 */
export class UsageFlusher<D extends string = StorageDimension> {
  readonly #tracker: UsageTracker<D>;
  readonly #skip: (() => ReadonlySet<string>) | undefined;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #signal: AbortSignal | undefined;
  #times: Required<FlushSchedule>;
  #status: FlusherStatus = { failures: 0 };
  #schedule: Schedule | undefined;
  #stopping: Promise<void> | undefined;

  /** @throws RangeError for a time that is not from 1 to 2^31-1 ms or a ratio that is not above 0. */
  constructor(options: UsageFlusherOptions<D>) {
    this.#tracker = options.tracker;
    this.#times = checkedTimes(options);
    this.#skip = options.skip;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#signal = options.signal;
  }

  /**
   * Takes over other times; what is absent gets its default. Flushes at once, so that nothing waits longer than before,
   * however often the times change.
   *
   * @throws RangeError like the constructor; the old times stay then.
   */
  reschedule(schedule: FlushSchedule): void {
    this.#times = checkedTimes(schedule);
    if (this.#schedule === undefined || this.#schedule.flushing !== undefined) return;
    this.#schedule.cancelTimer();
    this.#schedule.flushing = this.#flushAsScheduled(this.#schedule);
  }

  /** Begins the schedule, if it does not run; again, after `stop`. */
  start(): void {
    if (this.#schedule !== undefined || this.#signal?.aborted) return;
    this.#signal?.addEventListener("abort", this.#endSchedule, { once: true });
    this.#schedule = { cancelTimer: () => {}, flushing: undefined };
    this.#wait(this.#schedule, this.#times.intervalMs, this.#tracker.counter.period());
  }

  /** Flushes now: see `UsageTracker.flush`. The schedule goes on. */
  async flush(): Promise<void> {
    await this.#flush({});
  }

  status(): FlusherStatus {
    return this.#status;
  }

  /**
   * Ends the schedule and flushes what is left. Stop recording before. May be called again when it rejects.
   *
   * @throws FlushError that says what is not stored; FlushTimeoutError where the counter does not answer that in time.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    const flushing = this.#schedule?.flushing;
    this.#endSchedule();
    await flushing;
    // What others counted is theirs to store; what this process found of it, somebody else finds, too.
    // fault: does not flush when it is stopped
    const outcome = await this.#flush({ learn: false }).then(
      ({ rejected }) => rejected[0]?.reason,
      (error: unknown) => error,
    );
    const { counter } = this.#tracker;
    const { timeoutMs } = this.#times;
    const late = (): Error => new FlushTimeoutError(timeoutMs);
    const tallies = await inTime(this.#clock, timeoutMs, late, () => counter.tallies());
    const unstored = tallies.filter((tally) => isWrittenBy(tally, counter.writer));
    // fault: does not say what remains
    if (unstored.length > 0) throw new FlushError(unstored, outcome);
  }

  /** Waits in steps that are short enough to notice a backend that comes near a limit, and that the period is not `known` any more. */
  #wait(schedule: Schedule, forMs: number, known: Period): void {
    const failing = this.#status.failures > 0;
    const step = (leftMs: number): void => {
      const stepMs = failing ? leftMs : Math.min(leftMs, this.#shortened(this.#times.nearLimitIntervalMs));
      schedule.cancelTimer = this.#clock.after(stepMs, () => {
        const due =
          stepMs >= leftMs ||
          // What others used of a period that the clock was just set to is not known yet.
          this.#tracker.counter.period().start !== known.start ||
          this.#tracker.nearLimit(this.#times.nearLimitRatio);
        if (due) schedule.flushing = this.#flushAsScheduled(schedule);
        else step(leftMs - stepMs);
      });
    };
    step(this.#shortened(forMs));
  }

  async #flushAsScheduled(schedule: Schedule): Promise<void> {
    // It may change during the flush, whose refresh then was of the one before.
    const period = this.#tracker.counter.period();
    try {
      await this.flush();
    } catch {
      // The status and `onFlush` tell; the counts stay for the next flush.
    }
    schedule.flushing = undefined;
    if (this.#schedule !== schedule) return;
    const { failures } = this.#status;
    const { intervalMs } = this.#times;
    const retryMs = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), Math.max(MAX_RETRY_MS, intervalMs));
    // fault: does not flush again after a failure
    this.#wait(schedule, failures === 0 ? intervalMs : retryMs, period);
  }

  #shortened(ms: number): number {
    return ms * (1 - JITTER * this.#random());
  }

  #endSchedule = (): void => {
    this.#schedule?.cancelTimer();
    this.#schedule = undefined;
    this.#signal?.removeEventListener("abort", this.#endSchedule);
  };

  /** One flush; the status tells how it went. */
  async #flush(options: FlushOptions): Promise<FlushResult> {
    const { timeoutMs } = this.#times;
    try {
      const skip = this.#skip?.();
      const result = await this.#tracker.flush({ ...options, timeoutMs, ...(skip !== undefined && { skip }) });
      this.#status = { failures: 0, lastFlushMs: this.#clock.now() };
      return result;
    } catch (error) {
      this.#status = { ...this.#status, failures: this.#status.failures + 1, lastError: error };
      // fault: takes a failed flush for a good one
      throw error;
    }
  }
}

/** From one `start` to the next `stop`. */
interface Schedule {
  cancelTimer: () => void;
  /** The flush that the schedule itself has begun and that is not over. */
  flushing: Promise<void> | undefined;
}

function checkedTimes(schedule: FlushSchedule): Required<FlushSchedule> {
  const { intervalMs = 30_000, nearLimitIntervalMs = 5_000, nearLimitRatio = 0.8, timeoutMs = 30_000 } = schedule;
  for (const [name, ms] of Object.entries({ intervalMs, nearLimitIntervalMs, timeoutMs })) assertDelay(name, ms);
  if (!(nearLimitRatio > 0)) throw new RangeError(`nearLimitRatio must be above 0, got ${String(nearLimitRatio)}`);
  return { intervalMs, nearLimitIntervalMs, nearLimitRatio, timeoutMs };
}
