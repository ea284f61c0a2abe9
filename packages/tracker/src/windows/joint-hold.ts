import type { Hold, Period, Usage } from "@usage/counter-core";

/**
 * Holds of the same usage in several counters, as one: whatever is done to it is done to all of them, or, where it throws or
 * returns false, to none. Each is of the period that was its counter's when it began.
 */
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

  /** That of the first counter. */
  get period(): Period {
    return this.#first.period;
  }

  /** In the order of the counters. */
  get periods(): readonly Period[] {
    return this.#holds.map(({ period }) => period);
  }

  get usage(): Usage<D> {
    const ended = this.#holds.find(({ state }) => state !== "open");
    return (ended ?? this.#first).usage;
  }

  /** Each expires by itself, some at most a second before others: it is open while all of them are. */
  get state(): Hold["state"] {
    for (const { state } of this.#holds) if (state !== "open") return state;
    return "open";
  }

  canExtend(more: Partial<Usage<D>>): boolean {
    return this.#holds.every((hold) => hold.canExtend(more));
  }

  extend(more: Partial<Usage<D>>): boolean {
    const full = this.#holds.find((hold) => !hold.canExtend(more));
    // fault: extends a hold in the windows before the one that is full
    if (full !== undefined) {
      // It asks others for room, where there are any.
      full.extend(more);
      return false;
    }
    for (const hold of this.#holds) hold.extend(more);
    return true;
  }

  shrink(less: Partial<Usage<D>>): void {
    for (const hold of this.#holds) hold.shrink(less);
  }

  assertCountable(part: Partial<Usage<D>>): void {
    for (const hold of this.#holds) hold.assertCountable(part);
  }

  count(part: Partial<Usage<D>>): void {
    this.assertCountable(part);
    for (const hold of this.#holds) hold.count(part);
  }

  settle(actual?: Partial<Usage<D>>): void {
    // Where one has expired and another is about to, they keep different amounts.
    // fault: settles what each window kept by itself
    const used = actual ?? this.usage;
    const unended = this.#holds.filter(({ state }) => state !== "settled" && state !== "voided");
    // fault: settles in one window what another cannot count
    for (const hold of unended) hold.assertCountable(used);
    for (const hold of unended) hold.settle(used);
  }

  void(): void {
    for (const hold of this.#holds) hold.void();
  }

  [Symbol.dispose](): void {
    this.void();
  }
}
