import type { Ask, MergedSlices, Pair } from "@usage/counter-redis";

export interface Slices {
  /** By writer, then by dimension. */
  readonly pairs: ReadonlyMap<string, ReadonlyMap<string, Pair>>;
  /** By dimension. */
  readonly hungry: ReadonlyMap<string, number>;
  /** When each writer last said that it holds something. */
  readonly saidAtMs: ReadonlyMap<string, number>;
}

export const NO_PAIR: Pair = { granted: 0, returned: 0, forgiven: 0 };

/** The slices of one backend, as a script changes them. */
export class SliceBook {
  readonly #tallies: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly #pairs: Map<string, ReadonlyMap<string, Pair>>;
  readonly #hungry: Map<string, number>;
  readonly #saidAtMs: Map<string, number>;

  constructor(tallies: ReadonlyMap<string, ReadonlyMap<string, number>>, { pairs, hungry, saidAtMs }: Slices) {
    this.#tallies = tallies;
    this.#pairs = new Map(pairs);
    this.#hungry = new Map(hungry);
    this.#saidAtMs = new Map(saidAtMs);
  }

  get slices(): Slices {
    return { pairs: this.#pairs, hungry: this.#hungry, saidAtMs: this.#saidAtMs };
  }

  saidAtMs(writer: string): number {
    return this.#saidAtMs.get(writer) ?? 0;
  }

  /** Notes that a writer holds something; returns whether it does. */
  speak(writer: string, nowMs: number): boolean {
    const isHolding = [...(this.#pairs.get(writer)?.keys() ?? [])].some((name) => this.#slack(writer, name) > 0);
    if (isHolding) this.#saidAtMs.set(writer, nowMs);
    return isHolding;
  }

  /** What a writer may use without asking is forgiven; returns how much, by dimension, without zeros. */
  forgive(writer: string): ReadonlyMap<string, number> {
    const amounts = new Map<string, number>();
    for (const [name, pair] of this.#pairs.get(writer) ?? []) {
      const amount = this.#slack(writer, name);
      if (amount === 0) continue;
      amounts.set(name, amount);
      this.raise(writer, name, { ...pair, forgiven: pair.forgiven + amount });
    }
    return amounts;
  }

  raise(writer: string, name: string, { granted, returned, forgiven }: Pair): boolean {
    const known = this.#pair(writer, name);
    if (granted <= known.granted && returned <= known.returned && forgiven <= known.forgiven) return false;
    const raised = {
      granted: Math.max(granted, known.granted),
      returned: Math.max(returned, known.returned),
      forgiven: Math.max(forgiven, known.forgiven),
    };
    this.#pairs.set(writer, new Map(this.#pairs.get(writer)).set(name, raised));
    return true;
  }

  grant(writer: string, name: string, { limit, target, need }: Ask, onGrant: (excess: number) => void): boolean {
    const { granted } = this.#pair(writer, name);
    // fault: the model of Redis adds what is asked for
    const wanted = target - granted;
    if (wanted <= 0) return false;
    const used = sumOf(this.#tallies, name);
    // fault: the model of Redis grants what others hold
    const room = limit - used - this.#held(name);
    const got = Math.max(0, Math.min(wanted, room, Math.max(need, Math.floor(room / 16))));
    if (got > 0) {
      onGrant(used + this.#held(name) + got - limit);
      this.raise(writer, name, { ...NO_PAIR, granted: granted + got });
    }
    const isHungry = got < need && limit > used;
    if (isHungry) this.#hungry.set(name, (this.#hungry.get(name) ?? 0) + 1);
    return got > 0 || isHungry;
  }

  of(writer: string, dimensions: readonly string[]): Omit<MergedSlices, "isRipe"> {
    const forgivenOf = (name: string): number => {
      return [...this.#pairs.keys()].reduce((sum, one) => sum + this.#pair(one, name).forgiven, 0);
    };
    return {
      held: dimensions.map((name) => this.#held(name)),
      forgiven: dimensions.map(forgivenOf),
      pairs: dimensions.map((name) => this.#pair(writer, name)),
      hungry: dimensions.map((name) => this.#hungry.get(name) ?? 0),
    };
  }

  #pair(writer: string, name: string): Pair {
    return this.#pairs.get(writer)?.get(name) ?? NO_PAIR;
  }

  #held(name: string): number {
    let held = 0;
    for (const writer of this.#pairs.keys()) held += this.#slack(writer, name);
    return held;
  }

  #slack(writer: string, name: string): number {
    return Math.max(0, ceilingOf(this.#pair(writer, name)) - (this.#tallies.get(writer)?.get(name) ?? 0));
  }
}

/** What a writer may count and hold. */
export function ceilingOf({ granted, returned, forgiven }: Pair): number {
  return granted - returned - forgiven;
}

export function sumOf(tallies: ReadonlyMap<string, ReadonlyMap<string, number>>, name: string): number {
  let sum = 0;
  for (const amounts of tallies.values()) sum += amounts.get(name) ?? 0;
  return sum;
}
