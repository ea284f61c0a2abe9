import { AmountError, type Event, type Hold, type HoldOptions, type Usage } from "@usage/counter-core";
import { UsageReader } from "@usage/counter-core/internal";
import type { TrackedCounter } from "../tracked-counter.ts";
import { JointHold } from "./joint-hold.ts";

/** An array of amounts has room for so many at least: see `UsageCounter.fitsAmounts`. */
const FEWEST = 4;

/** Counters of the same dimensions, as one: usage is added in all of them, or in none. */
export class JointCounter<D extends string> {
  readonly #counters: readonly TrackedCounter<D>[];
  readonly #reader: UsageReader<D>;
  // Scratch space for the request path, which runs to completion.
  readonly #amounts: Float64Array;
  readonly #totals: Float64Array;

  /** @param counters - One at least. */
  constructor(counters: readonly TrackedCounter<D>[]) {
    const [{ dimensions }] = counters as readonly [TrackedCounter<D>];
    this.#counters = counters;
    this.#reader = new UsageReader(dimensions);
    this.#amounts = new Float64Array(Math.max(FEWEST, dimensions.length));
    this.#totals = new Float64Array(dimensions.length);
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
    this.#reader.read(backend, usage, amounts);
    // fault: counts in one window what another cannot count
    for (const counter of this.#counters) this.#assertAddable(counter, backend);
    for (const counter of this.#counters) counter.addAmounts(backend, amounts);
  }

  tryAddAll(backend: string, usage: Partial<Usage<D>>): boolean {
    const amounts = this.#amounts;
    this.#reader.read(backend, usage, amounts);
    for (const counter of this.#counters) if (!counter.fitsAmounts(backend, amounts)) return false;
    for (const counter of this.#counters) counter.addAmounts(backend, amounts);
    return true;
  }

  fits(backend: string, usage: Partial<Usage<D>>): boolean {
    const amounts = this.#amounts;
    this.#reader.read(backend, usage, amounts);
    for (const counter of this.#counters) if (!counter.fitsAmounts(backend, amounts)) return false;
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

  /** One that throws after another has added would leave them apart. */
  #assertAddable(counter: TrackedCounter<D>, backend: string): void {
    const { dimensions } = counter;
    const totals = this.#totals;
    counter.readTotal(backend, totals);
    for (let place = 0; place < dimensions.length; place++) {
      const amount = this.#amounts[place] as number;
      if ((totals[place] as number) + amount > Number.MAX_SAFE_INTEGER) {
        throw new AmountError(backend, dimensions[place] as D, amount, "would take the total past 2^53-1");
      }
    }
  }
}
