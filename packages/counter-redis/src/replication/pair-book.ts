import type { Pair } from "../server/shared-counts.ts";

const NOTHING = new Float64Array(0);

/** By cell of one period, what this writer was ever granted, what it ever returned, and what it was forgiven. Takes memory with the first. */
export class PairBook {
  #granted = NOTHING;
  #returned = NOTHING;
  #forgiven = NOTHING;

  granted(cell: number): number {
    return this.#granted[cell] ?? 0;
  }

  returned(cell: number): number {
    return this.#returned[cell] ?? 0;
  }

  forgiven(cell: number): number {
    return this.#forgiven[cell] ?? 0;
  }

  /** What may be used and held altogether. */
  ceiling(cell: number): number {
    // fault: uses on what was forgiven
    return this.granted(cell) - this.returned(cell) - this.forgiven(cell);
  }

  /** All of them only grow: returns whether any did. */
  raise(cell: number, { granted = 0, returned = 0, forgiven = 0 }: Partial<Pair>): boolean {
    const isNews = granted > this.granted(cell) || returned > this.returned(cell) || forgiven > this.forgiven(cell);
    if (!isNews) return false;
    this.#reserve(cell);
    this.#forgiven[cell] = Math.max(this.forgiven(cell), forgiven);
    this.#granted[cell] = Math.max(this.granted(cell), granted);
    this.#returned[cell] = Math.max(this.returned(cell), returned);
    return true;
  }

  /** The cell is another writer's now, who has begun with nothing. */
  clear(cell: number): void {
    if (cell >= this.#granted.length) return;
    this.#granted[cell] = 0;
    this.#returned[cell] = 0;
    this.#forgiven[cell] = 0;
  }

  #reserve(cell: number): void {
    if (cell < this.#granted.length) return;
    const length = Math.max(cell + 1, 2 * this.#granted.length, 64);
    const grown = (known: Float64Array): Float64Array<ArrayBuffer> => {
      const list = new Float64Array(length);
      list.set(known);
      return list;
    };
    this.#granted = grown(this.#granted);
    this.#returned = grown(this.#returned);
    this.#forgiven = grown(this.#forgiven);
  }
}
