import {
  paddedLength,
  type StorageDimension,
  type TallySource,
  type Usage,
  type UsageCounter,
  UsageReader,
  type UsageStore,
} from "@usage/counter-core";
import { type LimitExceededMessage, limitExceededChannel } from "./channels.ts";
import { type Decision, fits } from "./decision.ts";
import { type FlushOptions, FlushQueue, type FlushResult } from "./flush-queue.ts";
import { type Limits, type LimitsByBackend, LimitTable } from "./limits.ts";
import { assertDimensions } from "./store-dimensions.ts";
import { untilAborted } from "./until-aborted.ts";

export interface UsageTrackerOptions<D extends string = StorageDimension> {
  /** @default no limits */
  readonly limits?: LimitsByBackend<D>;
}

export interface RefreshOptions {
  /** Aborting it rejects the refresh with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Records usage, decides whether a backend may take more of it, and carries it to a store.
 *
 * What is on the request path (`record`, `withinLimits`, `backendsWithinLimits`) is synchronous and does no I/O. A backend
 * that the counter does not have is an `UnknownBackendError`, whatever its limits; a proposal that is not a non-negative
 * safe integer is an `AmountError`; neither changes anything.
 */
export class UsageTracker<D extends string = StorageDimension> {
  readonly backend: UsageCounter<D> & TallySource<D>;
  readonly #dimensions: readonly D[];
  readonly #reader: UsageReader<D>;
  readonly #flushes: FlushQueue<D>;
  // Scratch space for the request path, which runs to completion.
  readonly #totals: Float64Array;
  readonly #proposed: Float64Array;
  #limits: LimitTable<D>;
  #lastOverview: (Overview & { readonly backends: readonly string[]; readonly table: LimitTable<D> }) | undefined;

  constructor(backend: UsageCounter<D> & TallySource<D>, options: UsageTrackerOptions<D> = {}) {
    const { limits = {} } = options;
    this.backend = backend;
    this.#dimensions = backend.dimensions;
    this.#reader = new UsageReader(backend.dimensions);
    this.#flushes = new FlushQueue(backend);
    this.#totals = new Float64Array(paddedLength(backend.dimensions.length));
    this.#proposed = new Float64Array(paddedLength(backend.dimensions.length));
    this.#limits = new LimitTable(backend.dimensions, limits);
  }

  /** Adds usage to the current period, all of it or, when it throws, nothing. */
  record(backend: string, usage: Partial<Usage<D>>): void {
    this.backend.addAll(backend, usage);
  }

  /** Whether `total + proposed <= limit` in every limited dimension. */
  withinLimits(backend: string, proposed: Partial<Usage<D>>): boolean {
    this.#reader.read(backend, proposed, this.#proposed);
    this.backend.readTotal(backend, this.#totals);
    const limits = this.#limits.row(backend);
    if (limits === undefined || fits(this.#totals, this.#proposed, limits, this.#dimensions.length)) return true;
    if (limitExceededChannel.hasSubscribers) this.#publishExceeded(backend, limits);
    return false;
  }

  /** The backends that are within their limits with `proposed` on top, in the order given. */
  backendsWithinLimits(backends: readonly string[], proposed: Partial<Usage<D>>): string[] {
    return backends.filter((backend) => this.withinLimits(backend, proposed));
  }

  /** `withinLimits` with its reasons. */
  check(backend: string, proposed: Partial<Usage<D>>): Decision<D> {
    this.#reader.read(backend, proposed, this.#proposed);
    const usage = this.backend.totalAll(backend);
    const row = this.#limits.row(backend);
    const limits: Record<string, number> = {};
    const remaining: Record<string, number> = {};
    const exceeded: D[] = [];
    this.#dimensions.forEach((dimension, place) => {
      const limit = row?.[place] ?? Number.POSITIVE_INFINITY;
      if (limit === Number.POSITIVE_INFINITY) return;
      limits[dimension] = limit;
      remaining[dimension] = Math.max(0, limit - usage[dimension]);
      if (usage[dimension] + (this.#proposed[place] as number) > limit) exceeded.push(dimension);
    });
    return {
      backend,
      allowed: exceeded.length === 0,
      exceeded,
      remaining: remaining as Limits<D>,
      usage,
      limits: limits as Limits<D>,
      period: this.backend.period(),
    };
  }

  /**
   * Whether any backend has used `ratio` (0.8, say) or more of any limit. Limits of 0 do not count: they are always used up.
   *
   * @throws RangeError for a ratio that is not above 0.
   */
  nearLimit(ratio: number): boolean {
    if (!(ratio > 0)) throw new RangeError(`ratio must be above 0, got ${String(ratio)}`);
    const { totals, limits } = this.#overview();
    this.backend.readTotals(totals);
    for (let i = 0; i < totals.length; i++) if ((totals[i] as number) >= ratio * (limits[i] as number)) return true;
    return false;
  }

  /** Replaces all limits at once. When one of them is wrong, it throws and the old ones stay. */
  updateLimits(limits: LimitsByBackend<D>): void {
    this.#limits = new LimitTable(this.#dimensions, limits);
  }

  /** A copy of all limits. */
  limits(): Map<string, Limits<D>> {
    return this.#limits.copy();
  }

  /** Says what was used of a backend in this period elsewhere; replaces what was known of it. */
  setBaseline(backend: string, usage: Usage<D>): void {
    this.backend.setBaseline(backend, usage);
  }

  /** `setBaseline` to zero. */
  resetBaselines(backends: readonly string[]): void {
    const zero = Object.fromEntries(this.#dimensions.map((dimension) => [dimension, 0])) as Usage<D>;
    for (const backend of backends) this.backend.totalAll(backend); // throws before anything changes
    for (const backend of backends) this.backend.setBaseline(backend, zero);
  }

  /**
   * Stores all that is counted and not known to be stored, closed periods included. When the store fails, the counts stay
   * as they were and the next flush carries them. A call during a flush waits for it (or for its abortion) and runs
   * one more, which callers with the same arguments share.
   *
   * @throws StoreDimensionsError where the store does not read all that the counter counts; StoreLossError where the store
   * lost again and again what it had just confirmed; whatever the store throws.
   */
  flushUsage(store: UsageStore<D>, options: FlushOptions = {}): Promise<FlushResult> {
    return this.#flushes.flush(store, options);
  }

  /**
   * Learns from the store what everybody else used in this period.
   *
   * @throws StoreDimensionsError where the store does not read all that the counter counts; whatever the store throws.
   */
  async refreshBaselines(store: UsageStore<D>, options: RefreshOptions = {}): Promise<void> {
    const { signal } = options;
    assertDimensions(store, this.backend);
    const { key } = this.backend.period();
    const stored = await untilAborted(store.totals(key, this.backend.writer), signal);
    const wanted = this.backend.observe(key, stored);
    if (wanted.length === 0) return;
    const rows = await untilAborted(store.tallies(key, wanted), signal);
    await untilAborted(this.backend.absorb(rows), signal);
  }

  /** Space for all totals, and the limits above 0 in the same order; made anew when backends or limits change. */
  #overview(): Overview {
    const backends = this.backend.backends();
    if (this.#lastOverview?.backends !== backends || this.#lastOverview.table !== this.#limits) {
      const size = this.#dimensions.length;
      const limits = new Float64Array(backends.length * size).fill(Number.POSITIVE_INFINITY);
      backends.forEach((backend, i) => {
        const row = this.#limits.row(backend);
        row?.subarray(0, size).forEach((limit, place) => {
          if (limit > 0) limits[i * size + place] = limit;
        });
      });
      this.#lastOverview = { backends, table: this.#limits, limits, totals: new Float64Array(limits.length) };
    }
    return this.#lastOverview;
  }

  #publishExceeded(backend: string, limits: Float64Array): void {
    const exceeded = this.#dimensions.filter(
      (_, i) => (this.#totals[i] as number) + (this.#proposed[i] as number) > (limits[i] as number),
    );
    const message: LimitExceededMessage = { backend, exceeded, period: this.backend.period().key };
    limitExceededChannel.publish(message);
  }
}

/** One element per backend and dimension. */
interface Overview {
  readonly totals: Float64Array;
  readonly limits: Float64Array;
}
