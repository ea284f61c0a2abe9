import { type Event, type Hold, type HoldOptions, UnknownBackendError, type Usage } from "@usage/counter-core";
import { AT_ONCE, refuseOverflow, UsageReader } from "@usage/counter-core/internal";
import type { TrackedCounter } from "../tracked-counter.ts";
import { JointHold } from "./joint-hold.ts";

/** Counters of the same dimensions, as one: usage is added in all of them, or in none. */
export class JointCounter<D extends string> {
  readonly #counters: readonly TrackedCounter<D>[];
  readonly #reader: UsageReader<D>;
  // Scratch space for the request path, which runs to completion.
  readonly #amounts: Float64Array;

  /** @param counters - One at least. */
  constructor(counters: readonly TrackedCounter<D>[]) {
    const [{ dimensions }] = counters as readonly [TrackedCounter<D>];
    this.#counters = counters;
    this.#reader = new UsageReader(dimensions);
    this.#amounts = new Float64Array(Math.max(AT_ONCE, dimensions.length));
  }

  /** Each backend of which something is free again in one of them. */
  get onFreed(): Event<string> {
    return (listener) => {
      const subscriptions = this.#counters.map(({ onFreed }) => onFreed(listener));
      return {
        [Symbol.dispose]: () => {
          for (const subscription of subscriptions) subscription[Symbol.dispose]();
        },
      };
    };
  }

  addAll(backend: string, usage: Partial<Usage<D>>): void {
    const amounts = this.#amounts;
    const counters = this.#counters;
    this.#reader.read(backend, usage, amounts);
    for (let i = 0; i < counters.length; i++) {
      const counter = counters[i] as TrackedCounter<D>;
      const row = counter.findRow(backend);
      if (row !== undefined && counter.addRow(row, amounts)) continue;
      this.#takeBack(i, backend);
      this.#refuseOverflow(counter, backend);
    }
  }

  tryAddAll(backend: string, usage: Partial<Usage<D>>): boolean {
    const amounts = this.#amounts;
    const counters = this.#counters;
    this.#reader.read(backend, usage, amounts);
    // One place in the code that adds: V8 inlines so much and no more.
    for (let i = 0; i < counters.length; i++) {
      const counter = counters[i] as TrackedCounter<D>;
      const row = counter.findRow(backend);
      if (row === undefined || !counter.tryAddRow(row, amounts)) return this.#takeBack(i, backend);
    }
    return true;
  }

  fits(backend: string, usage: Partial<Usage<D>>): boolean {
    const amounts = this.#amounts;
    const counters = this.#counters;
    this.#reader.read(backend, usage, amounts);
    for (let i = 0; i < counters.length; i++) {
      const counter = counters[i] as TrackedCounter<D>;
      if (!counter.fitsRow(rowIn(counter, backend), amounts)) return false;
    }
    return true;
  }

  hold(backend: string, usage: Partial<Usage<D>>, options?: HoldOptions): Hold<D> | undefined {
    if (!this.fits(backend, usage)) return undefined;
    const holds: Hold<D>[] = [];
    try {
      for (const counter of this.#counters) {
        const hold = counter.hold(backend, usage, options);
        if (hold === undefined) break;
        holds.push(hold);
      }
      return holds.length === this.#counters.length ? new JointHold(holds) : undefined;
    } finally {
      // Nothing comes between, so what fits is held; unless a counter is somebody's own.
      if (holds.length < this.#counters.length) for (const hold of holds) hold.void();
    }
  }

  /**
   * The counter at this place has added nothing; those before it have.
   *
   * @throws UnknownBackendError where it does not hold the backend.
   */
  #takeBack(place: number, backend: string): false {
    // fault: counts in the windows before the one that refuses
    for (const counter of this.#counters.slice(0, place)) counter.takeBackRow(rowIn(counter, backend), this.#amounts);
    rowIn(this.#counters[place] as TrackedCounter<D>, backend);
    return false;
  }

  #refuseOverflow(counter: TrackedCounter<D>, backend: string): void {
    const totals = new Float64Array(counter.dimensions.length);
    counter.readTotal(backend, totals);
    refuseOverflow(counter.dimensions, backend, totals, this.#amounts);
  }
}

function rowIn<D extends string>(counter: TrackedCounter<D>, backend: string): number {
  const row = counter.findRow(backend);
  if (row === undefined) throw new UnknownBackendError(backend);
  return row;
}
