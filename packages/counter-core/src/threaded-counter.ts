import { keepTime } from "./cells/keep-time.ts";
import { Lane } from "./cells/lane.ts";
import { Lanes } from "./cells/lanes.ts";
import { ThreadedPeriods } from "./cells/threaded-periods.ts";
import type { UsageRecorder } from "./counter.ts";
import { CounterBase } from "./counter-base.ts";
import { heapParts, type LocalCounterOptions } from "./local-counter.ts";
import { type Clock, systemClock } from "./model/clock.ts";
import { type Period, type PeriodScheme, utcMonths } from "./model/period.ts";
import type { StorageDimension, StoredUsage, Tally, Usage } from "./model/usage.ts";
import { Recorder } from "./request/recorder.ts";
import { Rows } from "./request/rows.ts";

export interface ThreadedCounterOptions<D extends string = StorageDimension>
  extends Omit<LocalCounterOptions<D>, "maxBackends" | "idleMs"> {
  /** How many threads may attach, those that have ended included; each costs 16 bytes a backend and dimension. @default 64 */
  readonly threads?: number;
}

/** What a worker thread needs to record. Travels by `workerData` or `postMessage`. */
export interface ThreadedCounterHandle<D extends string = StorageDimension> {
  readonly buffer: SharedArrayBuffer;
  readonly threads: number;
  readonly backends: readonly string[];
  readonly dimensions: readonly D[];
  readonly period: Period;
}

export interface AttachOptions {
  /** The same scheme as the counter's. @default utcMonths */
  readonly periods?: PeriodScheme;
  /** @default systemClock */
  readonly clock?: Clock;
}

/**
 * A local counter that worker threads count in, too: for all that counts and stores, theirs are this process's counts. The
 * backends are fixed when it is made.
 *
 * @example
 * ```ts
 * const counter = new ThreadedCounterBackend(["oci", "b2"]);
 * new Worker("./worker.js", { workerData: counter.handle });
 * // in the worker:
 * const recorder = attach(workerData);
 * ```
 */
export class ThreadedCounterBackend<D extends string = StorageDimension> extends CounterBase<D> {
  readonly #lanes: Lanes;
  readonly #threaded: ThreadedPeriods;

  /** @throws NameError for a name that is none, RangeError for dimensions or numbers that are out of range. */
  constructor(names: Iterable<string>, options: ThreadedCounterOptions<D> = {}) {
    const { threads = 64, periods = utcMonths } = options;
    if (!(Number.isInteger(threads) && threads >= 1)) {
      throw new RangeError(`threads must be a whole number from 1, got ${String(threads)}`);
    }
    const parts = heapParts(names, options, 1);
    const size = parts.dimensions.length;
    const lanes = new Lanes(threads, parts.rows.end * size);
    const threaded = new ThreadedPeriods(parts.periods, lanes, periods, size);
    super({ ...parts, periods: threaded, maxBackends: parts.rows.end });
    this.#lanes = lanes;
    this.#threaded = threaded;
  }

  override setBaseline(backend: string, usage: Usage<D>): void {
    super.setBaseline(backend, usage);
    this.#threaded.publish();
  }

  override learn(
    period: string,
    stored: ReadonlyMap<string, StoredUsage<D>>,
    asked?: readonly string[],
  ): readonly string[] {
    const wanted = super.learn(period, stored, asked);
    this.#threaded.publish();
    return wanted;
  }

  override async absorb(rows: readonly Tally[]): Promise<void> {
    await super.absorb(rows);
    this.#threaded.publish();
  }

  override discard(backend: string): void {
    super.discard(backend);
    this.#threaded.publish();
  }

  protected override unstored(row: number, place: number): number {
    this.#threaded.look(row);
    return super.unstored(row, place);
  }

  /** Other threads count under these names for ever. */
  protected override canLetGo(): boolean {
    return false;
  }

  /** For `attach` in a worker thread. */
  get handle(): ThreadedCounterHandle<D> {
    const { buffer, threads } = this.#lanes;
    return { buffer, threads, backends: this.backends(), dimensions: this.dimensions, period: { ...this.period() } };
  }
}

/**
 * A recorder on a counter of another thread.
 *
 * @throws RangeError for another period scheme than the counter's, and where no more threads may attach.
 */
export function attach<D extends string>(
  handle: ThreadedCounterHandle<D>,
  options: AttachOptions = {},
): UsageRecorder<D> {
  const { periods = utcMonths, clock = systemClock } = options;
  const { buffer, threads, backends, dimensions, period } = handle;
  const { key, start, end } = periods.at(period.start);
  if (key !== period.key || start !== period.start || end !== period.end) {
    throw new RangeError(`attach needs the counter's own period scheme, got one with ${key} for ${period.key}`);
  }
  const lanes = new Lanes(threads, backends.length * dimensions.length, buffer);
  const slot = lanes.claim();
  if (slot === undefined) {
    throw new RangeError(`${threads} threads have attached, and no more may: make the counter with more \`threads\``);
  }
  const lane = new Lane(lanes, slot, periods, dimensions.length);
  keepTime(clock, lane);
  const rows = new Rows();
  for (const backend of backends) rows.add(backend);
  return new Recorder(dimensions, rows, lane);
}
