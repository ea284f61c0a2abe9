import {
  type Awaitable,
  type Clock,
  type Event,
  type Hold,
  type HoldOptions,
  type PeriodScheme,
  type StorageDimension,
  systemClock,
  UnknownBackendError,
  type Usage,
  type UsageStore,
} from "@usage/counter-core";
import { capsOf, Emitter, messageOf } from "@usage/counter-core/internal";
import type { FlushEvent, LimitEvent } from "../events.ts";
import { OpenUsage, type OpenUsageOptions } from "../open-usage.ts";
import type { FlushOptions, FlushResult, RefreshOptions } from "../store-sync.ts";
import type { TrackedCounter } from "../tracked-counter.ts";
import type { UsageTracker } from "../usage-tracker.ts";
import { type ReserveOptions, WaitingRoom } from "../waiting-room.ts";
import { decideAll, type WindowedDecision } from "./decide-all.ts";
import { JointCounter } from "./joint-counter.ts";
import { passingStore } from "./passing-store.ts";
import { checkedWindows, isStored, keyedBy, type WindowScheme } from "./window.ts";
import { type WindowLimits, WindowLimitsBook, type WindowLimitsSource } from "./window-limits.ts";
import { WindowTrackers } from "./window-trackers.ts";

export interface OpenWindowsOptions<D extends string, W extends string>
  extends Omit<OpenUsageOptions<D>, "counter" | "limits" | "defaults"> {
  /**
   * How time is divided, by the window's name: what is used must fit in all of them, and is counted in all. The first one's rows
   * in the store are those of a counter without windows; the keys of the others begin with their name (`day:2026-01-31`). One
   * that is shorter than a day is not stored.
   */
  readonly windows: Readonly<Record<W, WindowScheme>>;
  /**
   * Makes the counter of a window; where the window is a function, one for each scheme that it returns. It divides time by `periods`,
   * and is closed with what `openUsage` returned, where it can be.
   */
  readonly counter: (periods: PeriodScheme, window: W) => Awaitable<TrackedCounter<D>>;
  /** @default no limits */
  readonly limits?: WindowLimitsSource<D, W>;
  /** Of a backend for which `limits` has none. @default no limits */
  readonly defaults?: WindowLimits<D, W>;
}

/** A backend was refused a request by a window. */
export interface WindowLimitEvent<D extends string, W extends string = string> extends LimitEvent<D> {
  readonly window: W;
}

/** The trackers that a backend is in, one for each window, and their counters as one. */
interface Joint<D extends string> {
  readonly trackers: readonly OpenUsage<D>[];
  readonly counter: JointCounter<D>;
  readonly waitingRoom: WaitingRoom;
}

/** By the trackers of the windows, one level for each. */
interface Joints<D extends string> {
  readonly next: Map<OpenUsage<D>, Joints<D>>;
  joint?: Joint<D>;
}

/**
 * Usage with several windows: what a backend uses is counted in each of them, and must fit in all. Each is a tracker with a
 * counter of its own; `UsageTracker` says what the methods promise.
 */
export class WindowedUsage<D extends string = StorageDimension, W extends string = string> {
  readonly store: UsageStore<D>;
  readonly #options: OpenWindowsOptions<D, W>;
  readonly #names: readonly W[];
  readonly #windows: readonly WindowTrackers<D, W>[];
  readonly #clock: Clock;
  readonly #limits: WindowLimitsBook<D, W>;
  readonly #limited = new Emitter<WindowLimitEvent<D, W>>();
  readonly #flushed = new Emitter<FlushEvent<D>>();
  readonly #joints: Joints<D> = { next: new Map() };
  /** Where all backends are in the same trackers. */
  #fixed: Joint<D> | undefined;

  private constructor(options: OpenWindowsOptions<D, W>) {
    const { windows, store, limits = {}, defaults = {}, clock = systemClock } = options;
    this.store = store;
    this.#options = options;
    this.#names = checkedWindows(windows);
    this.#clock = clock;
    this.#limits = new WindowLimitsBook(this.#names, limits, defaults);
    this.#windows = this.#names.map((name) => {
      return new WindowTrackers(name, windows[name], (scheme) => this.#openTracker(name, scheme));
    });
  }

  /** See `openUsage`. */
  static async open<D extends string, W extends string>(
    options: OpenWindowsOptions<D, W>,
  ): Promise<WindowedUsage<D, W>> {
    const usage = new WindowedUsage<D, W>(options);
    try {
      const fixed = usage.#windows.filter(({ isFixed }) => isFixed);
      const trackers = await Promise.all(fixed.map((window) => window.trackerOf("")));
      if (fixed.length === usage.#windows.length) usage.#fixed = usage.#join(trackers);
      return usage;
    } catch (error) {
      await usage.close();
      throw error;
    }
  }

  /** The windows' names, the first one first. */
  get windows(): readonly W[] {
    return this.#names;
  }

  /** Every request that is refused because of a limit. */
  get onLimit(): Event<WindowLimitEvent<D, W>> {
    return this.#limited.event;
  }

  /** Every flush of a window's tracker that ends. */
  get onFlush(): Event<FlushEvent<D>> {
    return this.#flushed.event;
  }

  /** The tracker that a backend has in a window: its totals, and all that is asked of one window alone. @throws UnknownBackendError. */
  tracker(window: W, backend: string): UsageTracker<D> {
    const tracker = this.#jointOf(backend).trackers[this.#names.indexOf(window)];
    if (tracker === undefined) throw new RangeError(`there is no window ${JSON.stringify(window)}`);
    return tracker;
  }

  /** Holds backends that may be new in all windows. Returns undefined where there is nothing to wait for. */
  ensure(backends: string | Iterable<string>): Promise<void> | undefined {
    const names = typeof backends === "string" ? [backends] : [...backends];
    const waits = names.flatMap((backend) => this.#ensure(backend) ?? []);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => {});
  }

  /** Lets go of a backend now. Returns false where something of it is not stored yet. */
  release(backend: string): boolean {
    return this.#trackersOf(backend).reduce((isGone, tracker) => tracker.release(backend) && isGone, true);
  }

  record(backend: string, usage: Partial<Usage<D>>): void {
    this.#jointOf(backend).counter.addAll(backend, usage);
  }

  tryRecord(backend: string, usage: Partial<Usage<D>>): boolean {
    if (this.#jointOf(backend).counter.tryAddAll(backend, usage)) return true;
    this.#refused(backend, usage);
    return false;
  }

  withinLimits(backend: string, proposed: Partial<Usage<D>>): boolean {
    if (this.#jointOf(backend).counter.fits(backend, proposed)) return true;
    this.#refused(backend, proposed);
    return false;
  }

  backendsWithinLimits(backends: readonly string[], proposed: Partial<Usage<D>>): string[] {
    return backends.filter((backend) => this.withinLimits(backend, proposed));
  }

  tryReserve(backend: string, usage: Partial<Usage<D>>, options: HoldOptions = {}): Hold<D> | undefined {
    const hold = this.#jointOf(backend).counter.hold(backend, usage, options);
    if (hold === undefined) this.#refused(backend, usage);
    return hold;
  }

  async reserve(backend: string, usage: Partial<Usage<D>>, options: ReserveOptions = {}): Promise<Hold<D> | undefined> {
    const { counter, waitingRoom } = this.#jointOf(backend);
    // The caller may change it while it waits.
    const kept = { ...usage };
    const take = (): Hold<D> | undefined => counter.hold(backend, kept, options);
    const isHopeless = (): boolean => this.check(backend, kept).reason === "limit";
    const hold = await waitingRoom.take(backend, { take, isHopeless }, options);
    if (hold === undefined) this.#refused(backend, usage);
    return hold;
  }

  check(backend: string, proposed: Partial<Usage<D>>): WindowedDecision<D, W> {
    const { trackers } = this.#jointOf(backend);
    return decideAll(this.#names, (_, index) => (trackers[index] as UsageTracker<D>).check(backend, proposed));
  }

  /** Replaces the limits of one backend, held or not; undefined: it has the default ones. Holds from the next request on. */
  setLimits(backend: string, limits: WindowLimits<D, W> | undefined): void {
    const all = this.#all();
    for (const { tracker, window } of all) {
      // Throws before anything changes.
      capsOf(tracker.counter.dimensions, backend, this.#limits.ofWindow(backend, limits, window));
    }
    this.#limits.set(backend, limits);
    for (const { tracker, window } of all) {
      if (tracker.counter.has(backend)) tracker.setLimits(backend, this.#limits.of(backend, window));
    }
  }

  /** Learns from the store what everybody else used. */
  async refresh(options?: RefreshOptions): Promise<void> {
    await Promise.all(this.#all().map(({ tracker }) => tracker.refresh(options)));
  }

  /** Stores all that is counted and not known to be stored, of every window. */
  async flush(options?: FlushOptions): Promise<FlushResult> {
    const results = await allOf(this.#all().map(({ tracker }) => tracker.flush(options)));
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
    const all = this.#all();
    await allOf(all.map(({ tracker }) => tracker.close()));
    await allOf(all.map(({ tracker }) => closed(tracker.counter)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #ensure(backend: string): Promise<void> | undefined {
    const trackers = this.#windows.map((window) => window.find(backend));
    if (trackers.some((tracker) => tracker === undefined)) return this.#ensureLate(backend);
    const waits = trackers.flatMap((tracker) => tracker?.ensure(backend) ?? []);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => {});
  }

  async #ensureLate(backend: string): Promise<void> {
    const trackers = await Promise.all(this.#windows.map((window) => window.trackerOf(backend)));
    await Promise.all(trackers.map((tracker) => tracker.ensure(backend)));
  }

  async #openTracker(window: W, periods: PeriodScheme): Promise<OpenUsage<D>> {
    const { clock, counter: make, store, windows: _, limits: __, defaults: ___, ...options } = this.#options;
    const isFirst = window === this.#names[0];
    const counter = await make(isFirst ? periods : keyedBy(window, periods), window);
    const tracker = new OpenUsage<D>({
      ...options,
      clock: this.#clock,
      counter,
      store: isStored(periods.at(this.#clock.now())) ? store : passingStore(counter.dimensions),
      limits: (backend) => this.#limits.of(backend, window),
    });
    tracker.onFlush((event) => this.#flushed.emit(event));
    // Nobody asks for names that the counter has from the start.
    await tracker.refresh();
    tracker.flusher.start();
    return tracker;
  }

  #jointOf(backend: string): Joint<D> {
    if (this.#fixed !== undefined) return this.#fixed;
    let node: Joints<D> | undefined = this.#joints;
    for (const window of this.#windows) {
      const tracker = window.find(backend);
      if (tracker === undefined) throw new UnknownBackendError(backend);
      node = node?.next.get(tracker);
    }
    return node?.joint ?? this.#join(this.#trackersOf(backend));
  }

  #join(trackers: readonly OpenUsage<D>[]): Joint<D> {
    const [first] = trackers as readonly [OpenUsage<D>];
    const counter = new JointCounter(
      first.counter.dimensions,
      trackers.map((tracker) => tracker.counter),
    );
    const joint = { trackers, counter, waitingRoom: new WaitingRoom(counter.onFreed, this.#clock) };
    let node = this.#joints;
    for (const tracker of trackers) {
      const next = node.next.get(tracker) ?? { next: new Map() };
      node.next.set(tracker, next);
      node = next;
    }
    node.joint = joint;
    return joint;
  }

  /** Those that there are. */
  #trackersOf(backend: string): readonly OpenUsage<D>[] {
    return this.#windows.flatMap((window) => window.find(backend) ?? []);
  }

  #all(): readonly { readonly window: W; readonly tracker: OpenUsage<D> }[] {
    return this.#windows.flatMap((window) => window.all().map((tracker) => ({ window: window.name, tracker })));
  }

  #refused(backend: string, proposed: Partial<Usage<D>>): void {
    if (!this.#limited.hasListeners) return;
    const { window, exceeded, reason, period } = this.check(backend, proposed);
    const tracker = this.tracker(window, backend);
    this.#limited.emit({ tracker, window, backend, exceeded, reason, period: period.key });
  }
}

/** Waits for all of them, also where one fails. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<readonly T[]> {
  const ends = await Promise.allSettled(promises);
  const errors = ends.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, errors.map(messageOf).join("; "));
  return ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : []));
}

async function closed(counter: object): Promise<void> {
  if (Symbol.asyncDispose in counter) await (counter as AsyncDisposable)[Symbol.asyncDispose]();
}
