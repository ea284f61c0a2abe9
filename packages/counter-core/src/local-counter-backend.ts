import { type Clock, systemClock } from "./clock.ts";
import { keepTime } from "./coarse-clock.ts";
import type { CounterBackend, UsageRecorder } from "./counter-backend.ts";
import { AmountError, DrainConflictError } from "./errors.ts";
import { HeapLedger } from "./heap-ledger.ts";
import type { Ledger } from "./ledger.ts";
import { checkedDimensions, checkedNames, NamedCells } from "./named-cells.ts";
import { type Period, type PeriodScheme, utcMonths } from "./period.ts";
import type { PeriodCells } from "./period-cells.ts";
import type { PeriodCounts } from "./period-counts.ts";
import { SharedCells } from "./shared-cells.ts";
import { SharedLedger } from "./shared-ledger.ts";
import { TallyBook } from "./tally-book.ts";
import {
  type PeriodUsage,
  STORAGE_DIMENSIONS,
  type StorageDimension,
  type StoredUsage,
  type Tally,
  type Usage,
} from "./usage.ts";
import { paddedLength } from "./usage-reader.ts";
import { newWriter } from "./writer.ts";

export interface LocalCounterOptions<D extends string = StorageDimension> {
  /** What is counted. @default STORAGE_DIMENSIONS */
  readonly dimensions?: readonly D[];
  /** How time is divided. @default utcMonths */
  readonly periods?: PeriodScheme;
  /** @default systemClock */
  readonly clock?: Clock;
  /** Keeps the cells in shared memory, for worker threads; the backends are fixed then. @default false */
  readonly shared?: boolean;
  /** This run's name in stores. Only for simulations: no two runs may ever use the same. @default a new UUIDv7 */
  readonly writer?: string;
}

/** What a worker thread needs to record on shared cells. Travels by `workerData` or `postMessage`. */
export interface SharedCounterHandle<D extends string = StorageDimension> {
  readonly buffer: SharedArrayBuffer;
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
 * Counts in the memory of this process. What it has not flushed dies with it.
 *
 * Closed periods are kept until they are settled (or swapped out), so whoever counts without a store keeps them all.
 */
export class LocalCounterBackend<D extends string = StorageDimension> implements CounterBackend<D> {
  readonly writer: string;
  readonly dimensions: readonly D[];
  readonly #names: NamedCells<D>;
  readonly #ledger: Ledger;
  readonly #book: TallyBook<D>;
  readonly #clock: Clock;
  readonly #shared: SharedCells | undefined;
  #drainedBy: "swap" | "tallies" | undefined;

  constructor(names: Iterable<string>, options: LocalCounterOptions<D> = {}) {
    const { periods = utcMonths, clock = systemClock, shared = false } = options;
    const backends = checkedNames(names);
    this.dimensions = checkedDimensions(
      options.dimensions ?? (STORAGE_DIMENSIONS as readonly string[] as readonly D[]),
    );
    this.#clock = clock;
    this.writer = options.writer ?? newWriter(clock.now());
    const cells = backends.length * paddedLength(this.dimensions.length);
    if (shared) {
      this.#shared = new SharedCells(periods, cells, undefined);
      this.#ledger = new SharedLedger(this.#shared, periods, clock.now(), cells);
    } else {
      this.#ledger = new HeapLedger(periods, clock.now(), cells);
    }
    this.#names = new NamedCells(this.dimensions, backends, this.#ledger);
    this.#book = new TallyBook(this.writer, this.#names, this.#ledger);
    keepTime(clock, this.#ledger);
  }

  /** A recorder on another thread's shared cells. */
  static attach<D extends string>(handle: SharedCounterHandle<D>, options: AttachOptions = {}): UsageRecorder<D> {
    const { periods = utcMonths, clock = systemClock } = options;
    const { key, start, end } = periods.at(handle.period.start);
    if (key !== handle.period.key || start !== handle.period.start || end !== handle.period.end) {
      throw new RangeError(
        `attach needs the counter's own period scheme, got one with ${key} for ${handle.period.key}`,
      );
    }
    const cells = new SharedCells(
      periods,
      handle.backends.length * paddedLength(handle.dimensions.length),
      handle.buffer,
    );
    keepTime(clock, cells);
    return new NamedCells(handle.dimensions, handle.backends, cells);
  }

  /** For `attach` in a worker thread. @throws RangeError unless the counter was made with `shared: true`. */
  get handle(): SharedCounterHandle<D> {
    if (this.#shared === undefined) throw new RangeError("handle needs cells in shared memory: pass shared: true");
    return {
      buffer: this.#shared.buffer,
      backends: this.backends(),
      dimensions: this.dimensions,
      period: { ...this.period() },
    };
  }

  add(backend: string, dimension: D, amount: number): void {
    this.#names.add(backend, dimension, amount);
  }

  addAll(backend: string, usage: Partial<Usage<D>>): void {
    this.#names.addAll(backend, usage);
  }

  readTotal(backend: string, out: Float64Array): void {
    this.#names.readTotal(backend, out);
  }

  readTotals(out: Float64Array): void {
    this.#ledger.readTotals(this.#names.size, this.#names.stride, this.dimensions.length, out);
  }

  totalAll(backend: string): Usage<D> {
    const totals = new Float64Array(this.dimensions.length);
    this.#names.readTotal(backend, totals);
    return this.#usage((place) => totals[place] as number);
  }

  load(backend: string, dimension: D): number {
    return unsettled(this.#ledger.current(), this.#names.cellOf(backend, dimension));
  }

  loadAll(backend: string): Usage<D> {
    const row = this.#names.rowOf(backend);
    const cells = this.#ledger.current();
    return this.#usage((place) => unsettled(cells, row + place));
  }

  backends(): readonly string[] {
    return this.#names.names;
  }

  period(): Period {
    return this.#ledger.current().period;
  }

  /**
   * Adds backends, which begin with what `observe` and `absorb` were told of them in this period; known ones are left as they
   * are. Not with `shared: true`.
   */
  addBackends(names: Iterable<string>): void {
    const added = checkedNames(names).filter((name) => this.#names.findRow(name) === undefined);
    if (added.length === 0) return;
    this.#ledger.reserve((this.#names.size + added.length) * this.#names.stride);
    this.#names.append(added);
    // fault: forgets what it read of backends that are not there yet
    this.#book.admit(added);
  }

  setBaseline(backend: string, usage: Usage<D>): void {
    const row = this.#names.rowOf(backend);
    const amounts = this.#names.read(backend, usage);
    const cells = this.#ledger.current();
    this.dimensions.forEach((dimension, place) => {
      if (cells.mine(row + place) + (amounts[place] as number) > Number.MAX_SAFE_INTEGER) {
        throw new AmountError(backend, dimension, amounts[place], "would take the total past 2^53-1");
      }
    });
    for (let place = 0; place < this.dimensions.length; place++) {
      cells.setOthers(row + place, amounts[place] as number);
    }
  }

  async tallies(): Promise<readonly Tally[]> {
    this.#drainBy("tallies");
    this.#takeOverTime();
    return this.#book.unsettled();
  }

  settle(stored: readonly Tally[]): void {
    this.#book.settle(stored);
  }

  unsettle(): void {
    this.#takeOverTime();
    this.#book.unsettle();
  }

  observe(period: string, stored: ReadonlyMap<string, StoredUsage<D>>): readonly string[] {
    this.#takeOverTime();
    return this.#book.observe(period, stored);
  }

  async absorb(rows: readonly Tally[]): Promise<void> {
    this.#takeOverTime();
    this.#book.absorb(rows);
  }

  /** What was counted in each period that is held, the current one last: for a counter that shares these counts. */
  periods(): readonly PeriodCounts[] {
    this.#takeOverTime();
    return this.#book.periods();
  }

  discard(backend: string): void {
    this.#book.discard(backend);
  }

  swap(backend: string, dimension: D): number {
    const cell = this.#names.cellOf(backend, dimension);
    this.#drainBy("swap");
    return this.#take(cell);
  }

  /** `swap` of every dimension; at one instant, unless worker threads count meanwhile. */
  swapAll(backend: string): Usage<D> {
    const row = this.#names.rowOf(backend);
    this.#drainBy("swap");
    return this.#usage((place) => this.#take(row + place));
  }

  /** `swapAll` of every backend; by period, so that the last counts of a month are known as such. */
  swapAllBackends(): readonly PeriodUsage[] {
    this.#drainBy("swap");
    this.#takeOverTime();
    return this.#ledger.all().flatMap((cells) =>
      this.backends().flatMap((backend) => {
        const row = this.#names.rowOf(backend);
        const usage = this.#usage((place) => cells.take(row + place));
        return Object.values(usage).some((amount) => amount !== 0)
          ? [{ period: cells.period.key, backend, usage }]
          : [];
      }),
    );
  }

  #take(cell: number): number {
    return this.#ledger.all().reduce((sum, cells) => sum + cells.take(cell), 0);
  }

  #drainBy(way: "swap" | "tallies"): void {
    this.#drainedBy ??= way;
    if (this.#drainedBy !== way) throw new DrainConflictError(way);
  }

  /** Off the request path a clock call costs nothing, and a period that just ended is noticed at once. */
  #takeOverTime(): void {
    this.#ledger.advance(this.#clock.now());
  }

  #usage(amountAt: (place: number) => number): Usage<D> {
    return Object.fromEntries(this.dimensions.map((dimension, place) => [dimension, amountAt(place)])) as Usage<D>;
  }
}

function unsettled(cells: PeriodCells, cell: number): number {
  return cells.mine(cell) - cells.settled(cell);
}
