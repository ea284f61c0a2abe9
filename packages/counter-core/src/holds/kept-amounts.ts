/**
 * What open holds keep free, by dimension, in one array: a hold has a slot of it, from its `start` on, until it ends. So what a
 * hold costs does not grow with what it keeps.
 */
export class KeptAmounts {
  readonly #size: number;
  #amounts: Float64Array;
  /** Where slots start that were given back. */
  readonly #free: number[] = [];
  #used = 0;

  /** @param size - The number of dimensions. */
  constructor(size: number) {
    this.#size = size;
    this.#amounts = new Float64Array(16 * size);
  }

  /** Returns where a slot with these amounts starts. */
  take(amounts: Float64Array): number {
    const start = this.#free.pop() ?? this.#grow();
    const own = this.#amounts;
    for (let place = 0; place < this.#size; place++) own[start + place] = amounts[place] as number;
    return start;
  }

  /** A slot that keeps nothing any more. */
  give(start: number): void {
    this.#free.push(start);
  }

  of(start: number, place: number): number {
    return this.#amounts[start + place] as number;
  }

  add(start: number, more: Float64Array): void {
    const own = this.#amounts;
    for (let place = 0; place < this.#size; place++) {
      own[start + place] = (own[start + place] as number) + (more[place] as number);
    }
  }

  /** Takes as much of it out as there is, which is in `out` then; returns whether that is anything. */
  takeOut(start: number, amounts: Float64Array, out: Float64Array): boolean {
    const own = this.#amounts;
    let isAny = false;
    for (let place = 0; place < this.#size; place++) {
      const kept = own[start + place] as number;
      const taken = Math.min(amounts[place] as number, kept);
      own[start + place] = kept - taken;
      out[place] = taken;
      if (taken > 0) isAny = true;
    }
    return isAny;
  }

  #grow(): number {
    const start = this.#used;
    this.#used += this.#size;
    if (this.#used > this.#amounts.length) {
      const larger = new Float64Array(2 * this.#amounts.length);
      larger.set(this.#amounts);
      this.#amounts = larger;
    }
    return start;
  }
}
