import {
  type Clock,
  type CounterBackend,
  type Event,
  type Limits,
  type RejectedTally,
  type StorageDimension,
  systemClock,
  type Tally,
  UnknownBackendError,
  UnknownUsageError,
  type Usage,
  type UsageStore,
} from "@usage/counter-core";
import { Emitter, SerialQueue, untilAborted, withinTime } from "@usage/counter-core/internal";
import { Admission } from "./admission.ts";
import { type Decision, decide } from "./decision.ts";
import { FlushTimeoutError } from "./errors.ts";
import type { FlushEvent, LimitEvent } from "./events.ts";
import { LimitBook, type LimitsSource } from "./limits.ts";

/** What a tracker counts with: any counter, but for the way of those who keep their own books. */
export type TrackedCounter<D extends string> = Omit<CounterBackend<D>, "swap">;

export interface UsageTrackerOptions<D extends string = StorageDimension> {
  /** Where counts are kept. Whoever opened it closes it. */
  readonly store: UsageStore<D>;
  /** By name, or a function of the name. @default no limits */
  readonly limits?: LimitsSource<D>;
  /** Of a backend for which `limits` has none. @default no limits */
  readonly defaults?: Limits<D>;
  /** What `ensure` does while the store cannot be read: reject, or admit a backend with what is known of it. @default "reject" */
  readonly whenUnknown?: "reject" | "admit";
  /** How long reading the store may take, in milliseconds. @default 30_000 */
  readonly readTimeoutMs?: number;
  /** @default systemClock */
  readonly clock?: Clock;
}

export interface RefreshOptions {
  /** Aborting it rejects the refresh with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface FlushOptions extends RefreshOptions {
  /** Backends whose counts on this instance are discarded instead; the same on all instances. @default none */
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

const TIMEOUT_MS = 30_000;

/**
 * Records usage, decides whether a backend may take more of it, and carries it to one store.
 *
 * What is on the request path (`record`, `tryRecord`, `withinLimits`, `backendsWithinLimits`, and `ensure` of what is held) is
 * synchronous and does no I/O. There, a backend that is not held is an `UnknownBackendError`, whatever its limits; a proposal
 * that is not a non-negative safe integer is an `AmountError`; neither changes anything.
 */
export class UsageTracker<D extends string = StorageDimension> {
  readonly counter: TrackedCounter<D>;
  readonly store: UsageStore<D>;
  readonly #clock: Clock;
  readonly #whenUnknown: "reject" | "admit";
  readonly #readTimeoutMs: number;
  readonly #defaults: Limits<D>;
  readonly #admission: Admission;
  readonly #flushes = new SerialQueue();
  readonly #flushed = new Emitter<FlushEvent<D>>();
  readonly #limited = new Emitter<LimitEvent<D>>();
  #limits: LimitBook<D>;
  /** Whether what was used before is known of the backends that the counter had from the start. */
  #isLoaded: boolean;

  /** @throws what is wrong with the limits: NameError, UnknownDimensionError, AmountError or TypeError. */
  constructor(counter: TrackedCounter<D>, options: UsageTrackerOptions<D>) {
    const { store, limits = {}, defaults = {}, whenUnknown = "reject", readTimeoutMs = TIMEOUT_MS } = options;
    this.counter = counter;
    this.store = store;
    this.#clock = options.clock ?? systemClock;
    this.#whenUnknown = whenUnknown;
    this.#readTimeoutMs = readTimeoutMs;
    this.#defaults = defaults;
    this.#limits = new LimitBook(counter.dimensions, limits, defaults);
    this.#admission = new Admission(
      (backend) => void this.#limits.of(backend),
      (backends) => this.#admit(backends),
    );
    this.#isLoaded = counter.backends().length === 0;
    this.#applyLimits();
  }

  /** Every flush that ends, also one that fails before it has anything to store. */
  get onFlush(): Event<FlushEvent<D>> {
    return this.#flushed.event;
  }

  /** Every request that is refused because of a limit. */
  get onLimit(): Event<LimitEvent<D>> {
    return this.#limited.event;
  }

  /**
   * Holds backends that may be new. Returns undefined where all are held and what was used of them is known; otherwise a promise
   * that resolves when they are. What is asked at once is read at once. A backend whose limits are wrong is refused alone.
   *
   * @throws NameError, and what is wrong with its limits; TooManyBackendsError; UnknownUsageError while the store cannot be
   * read, unless `whenUnknown` is "admit".
   */
  ensure(backends: string | Iterable<string>): Promise<void> | undefined {
    if (typeof backends === "string") {
      return this.#isLoaded && this.counter.has(backends) ? undefined : this.#admission.ask(backends);
    }
    const missing = [...backends].filter((backend) => !(this.#isLoaded && this.counter.has(backend)));
    if (missing.length === 0) return undefined;
    return Promise.all(missing.map((backend) => this.#admission.ask(backend))).then(() => {});
  }

  /** Lets go of a backend now; `ensure` brings it back. Returns false where something of it is not stored yet. */
  release(backend: string): boolean {
    return this.counter.release(backend);
  }

  /** Adds usage to the current period, all of it or, when it throws, nothing. */
  record(backend: string, usage: Partial<Usage<D>>): void {
    this.counter.addAll(backend, usage);
  }

  /** Adds usage where no limit would be passed; otherwise returns false and adds nothing. */
  tryRecord(backend: string, usage: Partial<Usage<D>>): boolean {
    if (this.counter.tryAddAll(backend, usage)) return true;
    if (this.#limited.hasListeners) this.#tellLimit(backend, usage);
    return false;
  }

  /** Whether `total + proposed <= limit` in every limited dimension. */
  withinLimits(backend: string, proposed: Partial<Usage<D>>): boolean {
    if (this.counter.fits(backend, proposed)) return true;
    if (this.#limited.hasListeners) this.#tellLimit(backend, proposed);
    return false;
  }

  /** The backends that are within their limits with `proposed` on top, in the order given. */
  backendsWithinLimits(backends: readonly string[], proposed: Partial<Usage<D>>): string[] {
    return backends.filter((backend) => this.withinLimits(backend, proposed));
  }

  /** `withinLimits` with its reasons. */
  check(backend: string, proposed: Partial<Usage<D>>): Decision<D> {
    return decide(this.counter, backend, proposed);
  }

  /**
   * Whether any backend has used `ratio` (0.8, say) or more of any limit that is not 0.
   *
   * @throws RangeError for a ratio that is not above 0.
   */
  nearLimit(ratio: number): boolean {
    if (!(ratio > 0)) throw new RangeError(`ratio must be above 0, got ${String(ratio)}`);
    return this.counter.isAnyAt(ratio);
  }

  /** Replaces the limits of one backend, held or not; undefined: it has the default ones. Holds from the next request on. */
  setLimits(backend: string, limits: Limits<D> | undefined): void {
    this.#limits.set(backend, limits);
    if (this.counter.has(backend)) this.counter.setLimits(backend, this.#limits.of(backend));
  }

  /** Replaces all limits at once, those of `setLimits` as well. When one of them is wrong, it throws and the old ones stay. */
  updateLimits(limits: LimitsSource<D>): void {
    const before = this.#limits;
    this.#limits = new LimitBook(this.counter.dimensions, limits, this.#defaults);
    try {
      this.#applyLimits();
    } catch (error) {
      this.#limits = before;
      throw error;
    }
  }

  /** Says what was used of a backend in this period; replaces what was known of it. For those who keep their own books. */
  setBaseline(backend: string, usage: Usage<D>): void {
    this.counter.setBaseline(backend, usage);
  }

  /** `setBaseline` to zero. */
  resetBaselines(backends: readonly string[]): void {
    const zero = Object.fromEntries(this.counter.dimensions.map((dimension) => [dimension, 0])) as Usage<D>;
    for (const backend of backends) this.counter.totalAll(backend); // throws before anything changes
    for (const backend of backends) this.counter.setBaseline(backend, zero);
  }

  /** Learns from the store what everybody else used in this period. */
  async refresh(options: RefreshOptions = {}): Promise<void> {
    const { signal } = options;
    const { key } = this.counter.period();
    const stored = await untilAborted(this.store.totals(key, this.counter.writer), signal);
    const wanted = this.counter.learn(key, stored);
    if (wanted.length > 0) {
      const rows = await untilAborted(this.store.tallies(key, wanted), signal);
      await untilAborted(this.counter.absorb(rows), signal);
    }
    this.#isLoaded = true;
  }

  /**
   * Learns what others had stored before the call, then stores all that is counted and not known to be stored, closed periods
   * included. One flush runs at a time. When the store fails, the counts stay as they were and the next flush carries them; where
   * only the learning failed, what is counted is stored all the same.
   *
   * @throws FlushTimeoutError when it takes too long; what was sent may still be stored, which does no harm.
   */
  flush(options: FlushOptions = {}): Promise<FlushResult> {
    const { timeoutMs = TIMEOUT_MS, signal } = options;
    // The caller may change its set while the flush waits.
    const skip = new Set(options.skip);
    const isLearning = options.learn ?? true;
    const outcome = withinTime(this.#clock, timeoutMs, new FlushTimeoutError(timeoutMs), (deadline) => {
      const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
      return this.#flushes.run(() => untilAborted(this.#flush(skip, isLearning ? timeoutMs / 2 : 0, either), either));
    });
    return outcome;
  }

  async #flush(skip: ReadonlySet<string>, learnWithinMs: number, signal: AbortSignal): Promise<FlushResult> {
    const begun = this.#clock.now();
    let failure: { readonly error: unknown } | undefined;
    let result: FlushResult = { stored: 0, rejected: [] };
    try {
      signal.throwIfAborted();
      if (learnWithinMs > 0) failure = await this.#learn(learnWithinMs, signal);
      signal.throwIfAborted();
      result = await this.#send(skip, signal);
    } catch (error) {
      failure = { error };
    }
    const durationMs = Math.max(0, this.#clock.now() - begun);
    if (this.#flushed.hasListeners) this.#flushed.emit({ tracker: this, durationMs, ...result, ...failure });
    if (failure !== undefined) throw failure.error;
    return result;
  }

  /** Reading millions of rows may take too long; the rest of the time is left to store what is counted. */
  async #learn(timeoutMs: number, outer: AbortSignal): Promise<{ readonly error: unknown } | undefined> {
    const error = new FlushTimeoutError(timeoutMs, "reading the totals");
    try {
      await withinTime(this.#clock, timeoutMs, error, (signal) => {
        return this.refresh({ signal: AbortSignal.any([outer, signal]) });
      });
      return undefined;
    } catch (error) {
      return { error };
    }
  }

  async #send(skip: ReadonlySet<string>, signal: AbortSignal): Promise<FlushResult> {
    this.#discard(skip);
    const tallies = await untilAborted(this.counter.tallies(), signal);
    const rejected = tallies.length === 0 ? [] : await untilAborted(this.store.merge(tallies, { signal }), signal);
    const stored = without(tallies, rejected);
    this.counter.confirm(stored);
    return { stored: stored.length, rejected };
  }

  #discard(skip: ReadonlySet<string>): void {
    for (const backend of skip) if (!this.counter.has(backend)) throw new UnknownBackendError(backend);
    for (const backend of skip) this.counter.discard(backend);
  }

  async #admit(backends: readonly string[]): Promise<void> {
    const read = (period: string, names: readonly string[]): Promise<readonly Tally[]> => {
      const timeoutMs = this.#readTimeoutMs;
      const error = new FlushTimeoutError(timeoutMs, "reading what was used");
      return withinTime(this.#clock, timeoutMs, error, () => this.store.tallies(period, names));
    };
    const [whenUnknown, limitsOf] = [this.#whenUnknown, (backend: string) => this.#limits.of(backend)];
    // Those that were there from the start are loaded with the first who asks, if nobody has yet.
    if (!this.#isLoaded) await this.#load(backends);
    await this.counter.ensure(backends, read, { whenUnknown, limitsOf });
  }

  async #load(backends: readonly string[]): Promise<void> {
    const failure = await this.#learn(this.#readTimeoutMs, new AbortController().signal);
    if (failure !== undefined && this.#whenUnknown === "reject") throw new UnknownUsageError(backends, failure.error);
  }

  /** Gives every held backend its limits: all of them, or none where one is wrong. */
  #applyLimits(): void {
    const all = this.counter.backends().map((backend) => [backend, this.#limits.of(backend)] as const);
    for (const [backend, limits] of all) this.counter.setLimits(backend, limits);
  }

  #tellLimit(backend: string, proposed: Partial<Usage<D>>): void {
    const { exceeded, period } = this.check(backend, proposed);
    this.#limited.emit({ tracker: this, backend, exceeded, period: period.key });
  }
}

/** By what a tally is of, not by identity: a store may return copies, and a rejected tally must never be taken for stored. */
function without(tallies: readonly Tally[], rejected: readonly RejectedTally[]): readonly Tally[] {
  if (rejected.length === 0) return tallies;
  const keyOf = ({ writer, period, backend }: Tally): string => JSON.stringify([writer, period, backend]);
  const refused = new Set(rejected.map(({ tally }) => keyOf(tally)));
  return tallies.filter((tally) => !refused.has(keyOf(tally)));
}
