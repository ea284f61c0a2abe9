/**
 * What open holds keep free, by dimension, in one array: a hold has a slot of it until it ends. So what a hold costs does not grow
 * with what it keeps.
 */
export class KeptAmounts {
  readonly #size: number;
  #amounts: Float64Array;
  /** Slots that were given back. */
  readonly #free: number[] = [];
  #used = 0;

  /** @param size - The number of dimensions. */
  constructor(size: number) {
    this.#size = size;
    this.#amounts = new Float64Array(16 * size);
  }

  /** Returns a slot with these amounts. */
  take(amounts: Float64Array): number {
    const slot = this.#free.pop() ?? this.#grow();
    const own = this.#amounts;
    const start = slot * this.#size;
    for (let place = 0; place < this.#size; place++) own[start + place] = amounts[place] as number;
    return slot;
  }

  /** A slot that nobody needs any more. */
  give(slot: number): void {
    this.#free.push(slot);
  }

  /** Writes what is in a slot to `out`. */
  read(slot: number, out: Float64Array): void {
    const own = this.#amounts;
    const start = slot * this.#size;
    for (let place = 0; place < this.#size; place++) out[place] = own[start + place] as number;
  }

  add(slot: number, amounts: Float64Array): void {
    this.#change(slot, amounts, 1);
  }

  takeOut(slot: number, amounts: Float64Array): void {
    this.#change(slot, amounts, -1);
  }

  #change(slot: number, amounts: Float64Array, sign: 1 | -1): void {
    const own = this.#amounts;
    const start = slot * this.#size;
    for (let place = 0; place < this.#size; place++) {
      own[start + place] = (own[start + place] as number) + sign * (amounts[place] as number);
    }
  }

  #grow(): number {
    const slot = this.#used;
    this.#used += 1;
    if (this.#used * this.#size > this.#amounts.length) {
      const larger = new Float64Array(2 * this.#amounts.length);
      larger.set(this.#amounts);
      this.#amounts = larger;
    }
    return slot;
  }
}
