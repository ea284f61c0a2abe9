/** Which backend has which row. Rows that were given back are used again first. */
export class Rows {
  readonly #byName = new Map<string, number>();
  readonly #free: number[] = [];
  /** By row; undefined where none has it. */
  readonly #names: (string | undefined)[] = [];
  #list: readonly string[] | undefined;

  /** How many backends have one. */
  get size(): number {
    return this.#byName.size;
  }

  /** One more than the highest row that was ever used. */
  get end(): number {
    return this.#names.length;
  }

  find(backend: string): number | undefined {
    return this.#byName.get(backend);
  }

  /** Of a row in use. */
  nameOf(row: number): string {
    return this.#names[row] as string;
  }

  isUsed(row: number): boolean {
    return this.#names[row] !== undefined;
  }

  /** Names in the order in which they were added: a copy that is made anew only after they changed. */
  list(): readonly string[] {
    this.#list ??= Object.freeze([...this.#byName.keys()]);
    return this.#list;
  }

  /** A row for a name that has none. */
  add(backend: string): number {
    const row = this.#free.pop() ?? this.#names.length;
    this.#names[row] = backend;
    this.#byName.set(backend, row);
    this.#list = undefined;
    return row;
  }

  /** Gives the row back, of which nothing may be left then. */
  delete(backend: string): void {
    const row = this.#byName.get(backend);
    if (row === undefined) return;
    this.#byName.delete(backend);
    this.#names[row] = undefined;
    this.#free.push(row);
    this.#list = undefined;
  }
}
