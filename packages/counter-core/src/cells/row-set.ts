const OUT = 0;
const IN = 1;
/** Deleted, and still in the list. */
const DELETED = 2;

/** Some rows, each once. Adding one that is in it already costs one look. */
export class RowSet {
  #state: Uint8Array;
  #rows: number[] = [];
  #deleted = 0;

  constructor(rows: number) {
    this.#state = new Uint8Array(rows);
  }

  get size(): number {
    return this.#rows.length - this.#deleted;
  }

  add(row: number): void {
    if (this.#state[row] !== IN) this.#add(row);
  }

  has(row: number): boolean {
    return this.#state[row] === IN;
  }

  rows(): readonly number[] {
    if (this.#deleted > 0) this.filter(() => true);
    return this.#rows;
  }

  /** Takes out all rows of which `keep` is false. */
  filter(keep: (row: number) => boolean): void {
    const kept: number[] = [];
    for (const row of this.#rows) {
      if (this.#state[row] === IN && keep(row)) kept.push(row);
      else this.#state[row] = OUT;
    }
    this.#rows = kept;
    this.#deleted = 0;
  }

  delete(row: number): void {
    if (this.#state[row] !== IN) return;
    this.#state[row] = DELETED;
    this.#deleted += 1;
  }

  clear(): void {
    if (this.#rows.length > 0) this.filter(() => false);
  }

  grow(rows: number): void {
    const larger = new Uint8Array(rows);
    larger.set(this.#state);
    this.#state = larger;
  }

  #add(row: number): void {
    if (this.#state[row] === DELETED) this.#deleted -= 1;
    else this.#rows.push(row);
    this.#state[row] = IN;
  }
}
