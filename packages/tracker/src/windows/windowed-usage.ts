import {
  assertBackendName,
  type Clock,
  type Event,
  type Hold,
  type HoldOptions,
  type PeriodScheme,
  type StorageDimension,
  systemClock,
  type Usage,
  type UsageStore,
} from "@usage/counter-core";
import { Emitter } from "@usage/counter-core/internal";
import type { GrantOptions } from "../grants/grant-options.ts";
import type { OpenUsage } from "../open-usage.ts";
import type { FlushOptions, FlushResult, RefreshOptions } from "../store-sync.ts";
import type { ThresholdFailure } from "../thresholds/threshold-event.ts";
import { givenThresholds } from "../thresholds/threshold-options.ts";
import { ThresholdTeller } from "../thresholds/threshold-teller.ts";
import type { ReserveOptions, WaitOptions } from "../waiting-room.ts";
import { allOf } from "./all-of.ts";
import { AppliedWindowLimits } from "./applied-window-limits.ts";
import { CountedDimensions } from "./counted-dimensions.ts";
import type { WindowedDecision } from "./decide-all.ts";
import { Joints } from "./joints.ts";
import { closeCounter, openWindow } from "./open-window.ts";
import type { OpenWindowsOptions } from "./open-windows-options.ts";
import { checkedWindows } from "./window.ts";
import type { WindowFlushEvent, WindowLimitEvent, WindowTracker } from "./window-events.ts";
import type { WindowLimits, WindowLimitsSource } from "./window-limits.ts";
import { WindowSet } from "./window-set.ts";
import { WindowTrackers } from "./window-trackers.ts";

export interface WindowGrantOptions<W extends string = string> extends GrantOptions {
  /** @default the first one */
  readonly window?: W;
}

/**
 * Usage with several windows: what a backend uses is counted in each of them, and must fit in all. Each is a tracker with a
 * counter of its own; `UsageTracker` says what the methods promise. One that throws has counted, held or limited in no window.
 */
export class WindowedUsage<D extends string = StorageDimension, W extends string = string> {
  readonly store: UsageStore<D>;
  /** The windows' names, the first one first. */
  readonly windows: readonly W[];
  readonly #options: OpenWindowsOptions<D, W>;
  readonly #set: WindowSet<D, W>;
  readonly #joints: Joints<D, W>;
  readonly #clock: Clock;
  readonly #limited = new Emitter<WindowLimitEvent<D, W>>();
  readonly #flushed = new Emitter<WindowFlushEvent<D, W>>();
  readonly #teller: ThresholdTeller<D> | undefined;
  readonly #limits: AppliedWindowLimits<D, W>;
  readonly #dimensions: CountedDimensions<D>;

  private constructor(options: OpenWindowsOptions<D, W>) {
    const { windows, store, limits = {}, defaults = {}, clock = systemClock } = options;
    this.store = store;
    this.#options = options;
    this.windows = checkedWindows(windows);
    this.#clock = clock;
    this.#dimensions = new CountedDimensions(store.dimensions);
    const dimensions = (): readonly D[] => this.#dimensions.now;
    const set = (): WindowSet<D, W> => this.#set;
    this.#limits = new AppliedWindowLimits({ windows: this.windows, dimensions, source: limits, defaults, set });
    const thresholds = givenThresholds(options);
    this.#teller = thresholds && new ThresholdTeller(store, thresholds, clock);
    const trackers = this.windows.map((window) => {
      return new WindowTrackers(window, windows[window], (scheme, isLate) => this.#open(window, scheme, isLate));
    });
    this.#set = new WindowSet(trackers);
    this.#joints = new Joints(trackers, clock);
  }

  /** See `openUsage`. */
  static async open<D extends string, W extends string>(
    options: OpenWindowsOptions<D, W>,
  ): Promise<WindowedUsage<D, W>> {
    const usage = new WindowedUsage<D, W>(options);
    try {
      await usage.#set.openFixed();
      usage.#startTelling();
      return usage;
    } catch (error) {
      // Also what is still being opened.
      await usage.close().catch(() => {});
      throw error;
    }
  }

  /** Every request that is refused because of a limit. */
  get onLimit(): Event<WindowLimitEvent<D, W>> {
    return this.#limited.event;
  }

  /** Every flush of a window's tracker that ends. */
  get onFlush(): Event<WindowFlushEvent<D, W>> {
    return this.#flushed.event;
  }

  /** Whatever fails about thresholds and is tried again. Where nobody listens, the first of each kind is a warning of the process. */
  get onThresholdError(): Event<ThresholdFailure<D>> {
    return this.#teller?.onError ?? new Emitter<ThresholdFailure<D>>().event;
  }

  /**
   * The tracker that a backend has in a window: its totals, and all that is asked of one window alone.
   *
   * @throws UnknownBackendError; RangeError for a window that there is not, or that the backend is not counted in.
   */
  tracker(window: W, backend: string): OpenUsage<D> {
    const { windows, trackers } = this.#joints.of(backend);
    const tracker = trackers[windows.indexOf(window)];
    if (tracker === undefined) throw noWindow(window, backend);
    return tracker;
  }

  /** All that there are: one for each window, or where its backends have several schemes, for each of those that came. */
  trackers(): readonly WindowTracker<D, W>[] {
    return this.#set.all();
  }

  /**
   * Holds backends that may be new in all windows. Returns undefined where there is nothing to wait for.
   *
   * @throws what `UsageTracker.ensure` throws; WindowSchemeError for a backend whose windows are none.
   */
  ensure(backends: string | Iterable<string>): Promise<void> | undefined {
    const names = typeof backends === "string" ? [backends] : [...backends];
    const waits = names.flatMap((backend) => this.#set.ensure(backend) ?? []);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => {});
  }

  /**
   * Lets go of a backend now. Returns false where something of it is not stored yet: some windows may have let go of it all the same,
   * and `ensure` brings it back.
   */
  release(backend: string): boolean {
    return this.#set.of(backend).reduce((isGone, { tracker }) => tracker.release(backend) && isGone, true);
  }

  /** Adds usage to the current period of each window, all of it or, when it throws, nothing. */
  record(backend: string, usage: Partial<Usage<D>>): void {
    this.#joints.of(backend).counter.addAll(backend, usage);
  }

  /** Adds usage where no limit of any window would be passed; otherwise returns false and adds nothing. */
  tryRecord(backend: string, usage: Partial<Usage<D>>): boolean {
    if (this.#joints.of(backend).counter.tryAddAll(backend, usage)) return true;
    if (this.#limited.hasListeners) this.#tellLimit(backend, usage);
    return false;
  }

  /** Whether `tryRecord` would add. */
  withinLimits(backend: string, proposed: Partial<Usage<D>>): boolean {
    if (this.#joints.of(backend).counter.fits(backend, proposed)) return true;
    if (this.#limited.hasListeners) this.#tellLimit(backend, proposed);
    return false;
  }

  /** The backends that are within their limits with `proposed` on top, in the order given. */
  backendsWithinLimits(backends: readonly string[], proposed: Partial<Usage<D>>): string[] {
    return backends.filter((backend) => this.withinLimits(backend, proposed));
  }

  /** Keeps usage free in all windows, or returns undefined: one hold, which ends in all of them at once. See `UsageTracker.tryReserve`. */
  tryReserve(backend: string, usage: Partial<Usage<D>>, options: HoldOptions = {}): Hold<D> | undefined {
    const hold = this.#joints.of(backend).counter.hold(backend, usage, options);
    if (hold === undefined && this.#limited.hasListeners) this.#tellLimit(backend, usage);
    return hold;
  }

  /** See `UsageTracker.reserve`. */
  async reserve(backend: string, usage: Partial<Usage<D>>, options: ReserveOptions = {}): Promise<Hold<D> | undefined> {
    // The caller may change it while it waits.
    const kept = { ...usage };
    const hold = await this.#joints.of(backend).reservations.reserve(backend, kept, options);
    if (hold === undefined && this.#limited.hasListeners) this.#tellLimit(backend, kept);
    return hold;
  }

  /** See `UsageTracker.extend`. */
  async extend(hold: Hold<D>, more: Partial<Usage<D>>, options: WaitOptions = {}): Promise<boolean> {
    const { backend } = hold;
    const kept = { ...more };
    const isExtended = await this.#joints.of(backend).reservations.extend(hold, kept, options);
    if (!isExtended && this.#limited.hasListeners) this.#tellLimit(backend, kept);
    return isExtended;
  }

  /** Whether a hold is of a period that is over, in one window at least: what it still keeps and counts there is of that period. */
  isOver(hold: Hold<D>): boolean {
    return this.#joints.of(hold.backend).isOver(hold);
  }

  /** `withinLimits` with its reasons, those of every window. */
  check(backend: string, proposed: Partial<Usage<D>>): WindowedDecision<D, W> {
    return this.#joints.of(backend).check(backend, proposed);
  }

  /** Whether any backend has used `ratio` or more of any limit that is not 0, in any window. */
  nearLimit(ratio: number): boolean {
    return this.trackers().some(({ tracker }) => tracker.nearLimit(ratio));
  }

  /** Replaces the limits of one backend, held or not; undefined: it has the default ones. Holds from the next request on. */
  setLimits(backend: string, limits: WindowLimits<D, W> | undefined): void {
    this.#limits.set(backend, limits);
  }

  /** Replaces all limits at once, those of `setLimits` as well. When one of them is wrong, it throws and the old ones stay. */
  updateLimits(limits: WindowLimitsSource<D, W>): void {
    this.#limits.replace(limits);
  }

  /**
   * Grants a backend credit for one period of one window.
   *
   * @throws what `UsageTracker.grant` throws; RangeError for a window that there is not, that the backend is not counted in, or that
   * is not stored.
   */
  async grant(backend: string, amounts: Partial<Usage<D>>, options: WindowGrantOptions<W>): Promise<boolean> {
    const { window = this.windows[0] as W, ...rest } = { ...options };
    const trackers = this.#set.windows.find(({ name }) => name === window);
    assertBackendName(backend);
    const tracker = await trackers?.trackerOf(backend);
    if (!tracker) throw noWindow(window, backend);
    // What is over within the hour needs no trail.
    if (tracker.store !== this.store)
      throw new RangeError(`the window ${JSON.stringify(window)} is not stored: grant in another one`);
    return tracker.grant(backend, amounts, rest);
  }

  /** Learns from the store what everybody else used. */
  async refresh(options?: RefreshOptions): Promise<void> {
    await allOf(this.trackers().map(({ tracker }) => tracker.refresh(options)));
  }

  /** Stores all that is counted and not known to be stored, of every window. @throws also AggregateError, of several windows. */
  async flush(options?: FlushOptions): Promise<FlushResult> {
    const results = await allOf(this.trackers().map(({ tracker }) => tracker.flush(options)));
    return {
      stored: results.reduce((sum, { stored }) => sum + stored, 0),
      rejected: results.flatMap(({ rejected }) => rejected),
      ...(results.some(({ lost }) => lost) && { lost: true }),
    };
  }

  /**
   * Stores what is left, closes the counters, where they can be, and ends. Stop recording before. May be called again when it rejects.
   *
   * @throws FlushError that says what is not stored; AggregateError of several.
   */
  async close(): Promise<void> {
    await this.#set.end();
    const all = this.trackers();
    await allOf(all.map(({ tracker }) => tracker.close()));
    await this.#teller?.stop();
    await allOf(all.map(({ tracker }) => closeCounter(tracker.counter)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(window: W, scheme: PeriodScheme, isLate: boolean): Promise<OpenUsage<D>> {
    const tracker = await openWindow({
      options: this.#options,
      clock: this.#clock,
      window,
      scheme,
      isLate,
      isFirst: window === this.windows[0],
      limitsOf: (backend) => this.#limits.of(backend, window),
      onDimensions: (dimensions) => this.#dimensions.take(window, dimensions),
    });
    tracker.onFlush((event) => this.#flushed.emit({ ...event, window }));
    if (tracker.store === this.store) this.#teller?.watch(tracker, window);
    tracker.start();
    return tracker;
  }

  /** @throws RangeError where no window is stored. */
  #startTelling(): void {
    if (this.#teller === undefined) return;
    const isAnyStored = this.#set.windows.some(({ isFixed }) => !isFixed) || this.#teller.isWatching;
    if (!isAnyStored) throw new RangeError("thresholds need a window of a day or longer: a shorter one is not stored");
    this.#teller.start();
  }

  #tellLimit(backend: string, proposed: Partial<Usage<D>>): void {
    const { window, exceeded, reason, period } = this.check(backend, proposed);
    const tracker = this.tracker(window, backend);
    this.#limited.emit({ tracker, window, backend, exceeded, reason, period: period.key });
  }
}

function noWindow(window: string, backend: string): RangeError {
  return new RangeError(`there is no window ${JSON.stringify(window)} of ${JSON.stringify(backend)}`);
}
