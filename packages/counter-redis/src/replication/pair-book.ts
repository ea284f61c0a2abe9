import type { Pair } from "../server/shared-counts.ts";

const NOTHING = new Float64Array(0);

/** By cell of one period, what this writer was ever granted, and what it ever returned. Made with the first of them. */
export class PairBook {
  #granted = NOTHING;
  #returned = NOTHING;

  granted(cell: number): number {
    return this.#granted[cell] ?? 0;
  }

  returned(cell: number): number {
    return this.#returned[cell] ?? 0;
  }

  /** What may be used and held altogether. */
  ceiling(cell: number): number {
    return this.granted(cell) - this.returned(cell);
  }

  /** Both only grow: returns whether either did. */
  raise(cell: number, { granted, returned }: Pair): boolean {
    if (granted <= this.granted(cell) && returned <= this.returned(cell)) return false;
    this.#reserve(cell);
    this.#granted[cell] = Math.max(this.granted(cell), granted);
    this.#returned[cell] = Math.max(this.returned(cell), returned);
    return true;
  }

  /** The cell is another writer's now, who has begun with nothing. */
  clear(cell: number): void {
    if (cell >= this.#granted.length) return;
    this.#granted[cell] = 0;
    this.#returned[cell] = 0;
  }

  #reserve(cell: number): void {
    if (cell < this.#granted.length) return;
    const length = Math.max(cell + 1, 2 * this.#granted.length, 64);
    const [granted, returned] = [new Float64Array(length), new Float64Array(length)];
    granted.set(this.#granted);
    returned.set(this.#returned);
    [this.#granted, this.#returned] = [granted, returned];
  }
}
