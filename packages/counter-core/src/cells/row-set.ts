/** Some rows, each once. Adding one that is in it already costs one look. */
export class RowSet {
  #isIn: Uint8Array;
  #rows: number[] = [];

  constructor(rows: number) {
    this.#isIn = new Uint8Array(rows);
  }

  get size(): number {
    return this.#rows.length;
  }

  add(row: number): void {
    if (this.#isIn[row] === 1) return;
    this.#isIn[row] = 1;
    this.#rows.push(row);
  }

  has(row: number): boolean {
    return this.#isIn[row] === 1;
  }

  rows(): readonly number[] {
    return this.#rows;
  }

  /** Takes out all rows of which `keep` is false. */
  filter(keep: (row: number) => boolean): void {
    const kept: number[] = [];
    for (const row of this.#rows) {
      if (keep(row)) kept.push(row);
      else this.#isIn[row] = 0;
    }
    this.#rows = kept;
  }

  delete(row: number): void {
    if (this.#isIn[row] === 1) this.filter((other) => other !== row);
  }

  clear(): void {
    for (const row of this.#rows) this.#isIn[row] = 0;
    this.#rows = [];
  }

  grow(rows: number): void {
    const larger = new Uint8Array(rows);
    larger.set(this.#isIn);
    this.#isIn = larger;
  }
}
