import { keepTime } from "./cells/keep-time.ts";
import { Lane } from "./cells/lane.ts";
import { Lanes } from "./cells/lanes.ts";
import { Room } from "./cells/room.ts";
import { ThreadedPeriods } from "./cells/threaded-periods.ts";
import type { UsageRecorder } from "./counter.ts";
import { CounterBase } from "./counter-base.ts";
import { heapParts, type LocalCounterOptions } from "./local-counter.ts";
import { type Clock, systemClock } from "./model/clock.ts";
import type { Period, PeriodScheme } from "./model/period.ts";
import type { StorageDimension, StoredUsage, Tally, Usage } from "./model/usage.ts";
import { utcMonths } from "./periods/utc-periods.ts";
import { LaneRecorder } from "./request/lane-recorder.ts";
import { Rows } from "./request/rows.ts";

export interface ThreadedCounterOptions<D extends string = StorageDimension>
  extends Omit<LocalCounterOptions<D>, "maxBackends" | "idleMs"> {
  /** How many threads may attach, those that have ended included; each costs 40 bytes a backend and dimension. @default 64 */
  readonly threads?: number;
}

/** What a worker thread needs to record. Travels by `workerData` or `postMessage`. */
export interface ThreadedCounterHandle<D extends string = StorageDimension> {
  readonly buffer: SharedArrayBuffer;
  readonly room: SharedArrayBuffer;
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
 * backends are fixed when it is made. Once a thread has attached, a hold whose period is over cannot be extended.
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
  readonly #room: Room;
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
    const room = new Room(lanes);
    const threaded = new ThreadedPeriods(parts.periods, lanes, room, periods, size);
    super({ ...parts, periods: threaded, maxBackends: parts.rows.end });
    this.#lanes = lanes;
    this.#room = room;
    this.#threaded = threaded;
  }

  override heldAll(backend: string): Usage<D> {
    const held = super.heldAll(backend);
    const row = this.rowOf(backend);
    return this.usage((place) => {
      return held[this.dimensions[place] as D] + this.#threaded.heldInLanes(this.cellOf(row, place));
    });
  }

  override excessAll(backend: string): Usage<D> {
    this.#threaded.lookAtExcess(this.rowOf(backend));
    return super.excessAll(backend);
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
    const room = this.#room.buffer;
    return {
      buffer,
      room,
      threads,
      backends: this.backends(),
      dimensions: this.dimensions,
      period: { ...this.period() },
    };
  }
}

/**
 * A recorder on a counter of another thread. What it admits (`tryAddAll`, `hold`) passes no limit, whatever other threads admit at
 * once. In the first instants of a period it admits nothing that is limited, until the counter's own thread has noticed; and a hold
 * whose period is over cannot be extended.
 *
 * A thread that is terminated leaves to the others what it had not used. What its holds kept, and what it was moving at that
 * instant, is nobody's until the period ends.
 *
 * @throws RangeError for another period scheme than the counter's, and where no more threads may attach.
 */
export function attach<D extends string>(
  handle: ThreadedCounterHandle<D>,
  options: AttachOptions = {},
): UsageRecorder<D> {
  const { periods = utcMonths, clock = systemClock } = options;
  const { buffer, room: roomBuffer, threads, backends, dimensions, period } = handle;
  const { key, start, end } = periods.at(period.start);
  if (key !== period.key || start !== period.start || end !== period.end) {
    throw new RangeError(`attach needs the counter's own period scheme, got one with ${key} for ${period.key}`);
  }
  const lanes = new Lanes(threads, backends.length * dimensions.length, buffer);
  const slot = lanes.claim();
  if (slot === undefined) {
    throw new RangeError(`${threads} threads have attached, and no more may: make the counter with more \`threads\``);
  }
  const lane = new Lane(lanes, new Room(lanes, roomBuffer), slot, periods, dimensions.length);
  keepTime(clock, lane);
  const rows = new Rows();
  for (const backend of backends) rows.add(backend);
  return new LaneRecorder(dimensions, rows, lane, clock);
}
