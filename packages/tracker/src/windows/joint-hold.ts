import type { Hold, Period, Usage } from "@usage/counter-core";

/** Holds of the same usage in several counters, as one. They end together; what is asked about it, the first one tells. */
export class JointHold<D extends string> implements Hold<D> {
  readonly #holds: readonly Hold<D>[];
  readonly #first: Hold<D>;

  constructor(holds: readonly Hold<D>[]) {
    this.#holds = holds;
    this.#first = holds[0] as Hold<D>;
  }

  get backend(): string {
    return this.#first.backend;
  }

  get period(): Period {
    return this.#first.period;
  }

  get usage(): Usage<D> {
    return this.#first.usage;
  }

  get state(): Hold["state"] {
    return this.#first.state;
  }

  extend(more: Partial<Usage<D>>): boolean {
    for (const [index, hold] of this.#holds.entries()) {
      if (hold.extend(more)) continue;
      for (const extended of this.#holds.slice(0, index)) extended.shrink(more);
      return false;
    }
    return true;
  }

  shrink(less: Partial<Usage<D>>): void {
    for (const hold of this.#holds) hold.shrink(less);
  }

  count(part: Partial<Usage<D>>): void {
    for (const hold of this.#holds) hold.count(part);
  }

  settle(actual?: Partial<Usage<D>>): void {
    for (const hold of this.#holds) hold.settle(actual);
  }

  void(): void {
    for (const hold of this.#holds) hold.void();
  }

  [Symbol.dispose](): void {
    this.void();
  }
}
