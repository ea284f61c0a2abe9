/** An amount of one dimension of a backend in a period. */
export type BookEntry = readonly [period: string, backend: string, dimension: string, amount: number];

/** Amounts by period, backend and dimension: what should be, to be compared with what is. Zero is no entry. */
export class Book {
  readonly #amounts = new Map<string, number>();

  static of(entries: Iterable<BookEntry>): Book {
    const book = new Book();
    for (const [period, backend, dimension, amount] of entries) book.add(period, backend, { [dimension]: amount });
    return book;
  }

  static sumOf(books: Iterable<Book>): Book {
    return Book.of([...books].flatMap((book) => book.entries()));
  }

  add(period: string, backend: string, usage: Readonly<Record<string, number>>): void {
    for (const [dimension, amount] of Object.entries(usage)) {
      const key = keyOf(period, backend, dimension);
      this.#set(key, (this.#amounts.get(key) ?? 0) + amount);
    }
  }

  subtract(period: string, backend: string, usage: Readonly<Record<string, number>>): void {
    const less = Object.entries(usage).map(([dimension, amount]) => [dimension, -amount]);
    this.add(period, backend, Object.fromEntries(less));
  }

  /** Keeps the larger amounts. */
  raise(period: string, backend: string, usage: Readonly<Record<string, number>>): void {
    for (const [dimension, amount] of Object.entries(usage)) {
      const key = keyOf(period, backend, dimension);
      this.#set(key, Math.max(this.#amounts.get(key) ?? 0, amount));
    }
  }

  forget(period: string, backend: string): void {
    for (const [key] of this.#amounts) {
      const [ofPeriod, ofBackend] = JSON.parse(key) as [string, string, string];
      if (ofPeriod === period && ofBackend === backend) this.#amounts.delete(key);
    }
  }

  get(period: string, backend: string, dimension: string): number {
    return this.#amounts.get(keyOf(period, backend, dimension)) ?? 0;
  }

  copy(): Book {
    const copy = new Book();
    for (const [key, amount] of this.#amounts) copy.#amounts.set(key, amount);
    return copy;
  }

  /** In a fixed order. */
  entries(): readonly BookEntry[] {
    const sorted = [...this.#amounts].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([key, amount]): BookEntry => {
      const [period, backend, dimension] = JSON.parse(key) as [string, string, string];
      return [period, backend, dimension, amount];
    });
  }

  /** Whether no amount here is above the other's. */
  isAtMost(other: Book): boolean {
    return [...this.#amounts].every(([key, amount]) => amount <= (other.#amounts.get(key) ?? 0));
  }

  /** The sum over all periods and backends, by dimension. */
  byDimension(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const [, , dimension, amount] of this.entries()) sums[dimension] = (sums[dimension] ?? 0) + amount;
    return sums;
  }

  #set(key: string, amount: number): void {
    if (amount === 0) this.#amounts.delete(key);
    else this.#amounts.set(key, amount);
  }
}

function keyOf(period: string, backend: string, dimension: string): string {
  return JSON.stringify([period, backend, dimension]);
}
