import {
  type Clock,
  type Event,
  type Hold,
  type HoldOptions,
  type Limits,
  type StorageDimension,
  systemClock,
  type Usage,
  type UsageStore,
} from "@usage/counter-core";
import { assertDelay, Emitter } from "@usage/counter-core/internal";
import { Admission } from "./admission.ts";
import { AppliedLimits } from "./applied-limits.ts";
import { type Decision, decide } from "./decision.ts";
import type { FlushEvent, LimitEvent } from "./events.ts";
import { GrantBook } from "./grants/grant-book.ts";
import type { GrantOptions } from "./grants/grant-options.ts";
import type { LimitsSource } from "./limits.ts";
import { Reservations } from "./reservations.ts";
import { assertDimensions } from "./store-dimensions.ts";
import { type FlushOptions, type FlushResult, type RefreshOptions, StoreSync } from "./store-sync.ts";
import type { TrackedCounter } from "./tracked-counter.ts";
import type { UsageChange } from "./usage-change.ts";
import type { UsageTrackerOptions } from "./usage-tracker-options.ts";
import { isUsedUp } from "./used-up.ts";
import type { ReserveOptions, WaitOptions } from "./waiting-room.ts";

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
  readonly #readTimeoutMs: number;
  readonly #clock: Clock;
  readonly #sync: StoreSync<D>;
  readonly #reservations: Reservations<D>;
  readonly #admission: Admission<D>;
  readonly #grants: GrantBook<D>;
  readonly #flushed = new Emitter<FlushEvent<D>>();
  readonly #limited = new Emitter<LimitEvent<D>>();
  readonly #changed = new Emitter<UsageChange<D>>();
  readonly #limits: AppliedLimits<D>;

  /**
   * @throws what is wrong with the limits: NameError, UnknownDimensionError, AmountError or TypeError; RangeError for a
   * `readTimeoutMs` that is not from 1 to 2^31-1. StoreDimensionsError where the store does not read all that the counter counts.
   */
  constructor(counter: TrackedCounter<D>, options: UsageTrackerOptions<D>) {
    const { store, limits = {}, defaults = {}, clock = systemClock } = options;
    const { whenUnknown = "reject", readTimeoutMs = 30_000 } = options;
    assertDelay("readTimeoutMs", readTimeoutMs);
    assertDimensions(store, counter);
    this.counter = counter;
    this.store = store;
    this.#readTimeoutMs = readTimeoutMs;
    this.#clock = clock;
    this.#reservations = new Reservations({
      counter,
      clock,
      isUsedUp: (backend, usage) => isUsedUp(counter, backend, usage),
      isOver: ({ period }) => period.key !== counter.period().key,
    });
    this.#grants = new GrantBook({
      counter,
      store,
      clock,
      timeoutMs: readTimeoutMs,
      onRaised: (period, backends) => this.#changed.emit({ kind: "touched", period, backends }),
    });
    this.#sync = new StoreSync({
      counter,
      store,
      clock,
      changes: this.#changed,
      grants: this.#grants,
      onLearned: () => {
        this.#admission.isLoaded = true;
      },
      onEnd: (event) => this.#flushed.emit({ tracker: this, ...event }),
    });
    this.#admission = new Admission({
      counter,
      store,
      clock,
      whenUnknown,
      readTimeoutMs,
      limitsOf: (backend) => this.#limits.inBook(backend),
      creditOf: (period, backend) => this.#grants.creditOf(period, backend),
      loadCredit: (signal) => this.#grants.load(signal),
      load: () => this.refresh(),
      cursors: () => this.#sync.cursors,
      onHeld: (backends) => this.#touched(backends),
      onUnread: (backends) => this.#sync.readNext(backends),
    });
    this.#limits = new AppliedLimits({
      counter,
      source: limits,
      defaults,
      admission: this.#admission,
      onChange: (backends) => this.#touched(backends),
    });
    counter.bind?.(store);
  }

  /** Every flush that ends, also one that fails before it has anything to store. */
  get onFlush(): Event<FlushEvent<D>> {
    return this.#flushed.event;
  }

  /** Every request that is refused because of a limit. */
  get onLimit(): Event<LimitEvent<D>> {
    return this.#limited.event;
  }

  /** Each time that what is stored of backends, or what they are limited to, may be another than before; off the request path. */
  get onChange(): Event<UsageChange<D>> {
    return this.#changed.event;
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
      return this.#admission.isHeld(backends) ? undefined : this.#admission.ask(backends);
    }
    const missing = [...backends].filter((backend) => !this.#admission.isHeld(backend));
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

  /**
   * Keeps usage free for work whose cost is known only afterwards, where no limit would be passed with it; otherwise returns
   * undefined. What is held is in every decision, and not in the totals. Settle or void it: see `Hold`.
   *
   * @throws RangeError for a `ttlMs` that is not from 1 to 2^31-1.
   */
  tryReserve(backend: string, usage: Partial<Usage<D>>, options?: HoldOptions): Hold<D> | undefined {
    const hold = this.counter.hold(backend, usage, options);
    if (hold === undefined && this.#limited.hasListeners) this.#tellLimit(backend, usage);
    return hold;
  }

  /**
   * `tryReserve`, and where there is no room waits up to `waitMs` for what other work gives back. Resolves to undefined where there
   * was none in time.
   *
   * @throws RangeError for a `waitMs` that is not from 0 to 2^31-1; the reason of `signal` when that is aborted.
   */
  async reserve(backend: string, usage: Partial<Usage<D>>, options: ReserveOptions = {}): Promise<Hold<D> | undefined> {
    // The caller may change it while it waits.
    const kept = { ...usage };
    const hold = await this.#reservations.reserve(backend, kept, options);
    if (hold === undefined && this.#limited.hasListeners) this.#tellLimit(backend, kept);
    return hold;
  }

  /**
   * `hold.extend`, and where there is no room waits up to `waitMs` for it, as `reserve` does, but for a hold of a period that is
   * over. Resolves to whether it keeps more free.
   *
   * @throws what `hold.extend` throws; RangeError for a `waitMs` that is not from 0 to 2^31-1; the reason of `signal` when that is
   * aborted.
   */
  async extend(hold: Hold<D>, more: Partial<Usage<D>>, options: WaitOptions = {}): Promise<boolean> {
    const kept = { ...more };
    const isExtended = await this.#reservations.extend(hold, kept, options);
    if (!isExtended && this.#limited.hasListeners) this.#tellLimit(hold.backend, kept);
    return isExtended;
  }

  /** Whether `total + what is held + proposed <= limit` in every limited dimension. */
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
    return decide(this.counter, backend, proposed, this.#clock.now());
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
  }

  /**
   * What a backend is limited to in this period, held or not, with what is known to be granted.
   *
   * @throws what is wrong with the limits of one that is not held.
   */
  limitsOf(backend: string): Limits<D> {
    return this.#limits.of(backend, this.#grants.creditOf(this.counter.period().key, backend));
  }

  /**
   * `limitsOf` for any period, with all that the store has of grants for it by now.
   *
   * @param period - Its key.
   * @throws FlushTimeoutError when reading takes longer than `readTimeoutMs`.
   */
  async readLimits(period: string): Promise<(backend: string) => Limits<D>> {
    const credits = await this.#grants.credits(period);
    return (backend) => this.#limits.of(backend, credits.get(backend));
  }

  /** Replaces all limits at once, those of `setLimits` as well. When one of them is wrong, it throws and the old ones stay. */
  updateLimits(limits: LimitsSource<D>): void {
    this.#limits.replace(limits);
  }

  /**
   * Grants a backend credit for one period: its limits are higher by as much until that ends. Holds here once it resolves, on other
   * instances with their next refresh or flush, and is stored with its trail. What is not limited is not raised.
   *
   * @returns Whether it is new. Who grants again under the same id, also in doubt whether the first call came through, grants once.
   * @throws GrantConflictError where other amounts are stored under the id; TypeError where the store keeps no grants; what is wrong
   * with any part of it: NameError, AmountError, UnknownDimensionError, RangeError or TypeError. Rejects while the store is away:
   * it may be stored all the same, and is learnt with the next refresh then.
   */
  grant(backend: string, amounts: Partial<Usage<D>>, options: GrantOptions): Promise<boolean> {
    return this.#grants.grant(backend, amounts, options);
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

  /**
   * Learns from the store what everybody else used in this period.
   *
   * @throws FlushTimeoutError when reading takes longer than `readTimeoutMs`.
   */
  refresh({ signal }: RefreshOptions = {}): Promise<void> {
    return this.#sync.refresh(this.#readTimeoutMs, signal);
  }

  /**
   * Learns what others had stored before the call, then stores all that is counted and not known to be stored, closed periods
   * included. One flush runs at a time. When the store fails, the counts stay as they were and the next flush carries them; where
   * only the learning failed, what is counted is stored all the same.
   *
   * @throws FlushTimeoutError when it takes too long; what was sent may still be stored, which does no harm. RangeError for a
   * `timeoutMs` that is not from 1 to 2^31-1; StoreLossError where the store lost again and again what it had just confirmed.
   */
  flush(options: FlushOptions = {}): Promise<FlushResult> {
    return this.#sync.flush(options);
  }

  #touched(backends: readonly string[]): void {
    if (this.#changed.hasListeners)
      this.#changed.emit({ kind: "touched", period: this.counter.period().key, backends });
  }

  #tellLimit(backend: string, proposed: Partial<Usage<D>>): void {
    const { exceeded, reason, period } = this.check(backend, proposed);
    this.#limited.emit({ tracker: this, backend, exceeded, reason, period: period.key });
  }
}
