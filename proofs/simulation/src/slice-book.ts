import type { Ask, Pair } from "@usage/counter-redis";

export interface Slices {
  /** By writer, then by dimension. */
  readonly pairs: ReadonlyMap<string, ReadonlyMap<string, Pair>>;
  /** By dimension. */
  readonly hungry: ReadonlyMap<string, number>;
}

export const NO_PAIR: Pair = { granted: 0, returned: 0 };

/** The slices of one backend, as a script changes them. */
export class SliceBook {
  readonly #tallies: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly #pairs: Map<string, ReadonlyMap<string, Pair>>;
  readonly #hungry: Map<string, number>;

  constructor(tallies: ReadonlyMap<string, ReadonlyMap<string, number>>, { pairs, hungry }: Slices) {
    this.#tallies = tallies;
    this.#pairs = new Map(pairs);
    this.#hungry = new Map(hungry);
  }

  get slices(): Slices {
    return { pairs: this.#pairs, hungry: this.#hungry };
  }

  raise(writer: string, name: string, { granted, returned }: Pair): boolean {
    const known = this.#pair(writer, name);
    if (granted <= known.granted && returned <= known.returned) return false;
    const raised = { granted: Math.max(granted, known.granted), returned: Math.max(returned, known.returned) };
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
      this.raise(writer, name, { granted: granted + got, returned: 0 });
    }
    const isHungry = got < need && limit > used;
    if (isHungry) this.#hungry.set(name, (this.#hungry.get(name) ?? 0) + 1);
    return got > 0 || isHungry;
  }

  of(writer: string, dimensions: readonly string[]): { held: number[]; pairs: Pair[]; hungry: number[] } {
    return {
      held: dimensions.map((name) => this.#held(name)),
      pairs: dimensions.map((name) => this.#pair(writer, name)),
      hungry: dimensions.map((name) => this.#hungry.get(name) ?? 0),
    };
  }

  #pair(writer: string, name: string): Pair {
    return this.#pairs.get(writer)?.get(name) ?? NO_PAIR;
  }

  #held(name: string): number {
    let held = 0;
    for (const [writer, pairs] of this.#pairs) {
      const { granted, returned } = pairs.get(name) ?? NO_PAIR;
      held += Math.max(0, granted - returned - (this.#tallies.get(writer)?.get(name) ?? 0));
    }
    return held;
  }
}

export function sumOf(tallies: ReadonlyMap<string, ReadonlyMap<string, number>>, name: string): number {
  let sum = 0;
  for (const amounts of tallies.values()) sum += amounts.get(name) ?? 0;
  return sum;
}
