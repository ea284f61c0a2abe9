/** An amount of one dimension of a backend in a period. */
export type BookEntry = readonly [period: string, backend: string, dimension: string, amount: number];

/** Amounts by period, backend and dimension: what should be, to be compared with what is. Zero is no entry. */
export class Book {
  readonly #amounts = new Map<string, number>();

  static of(entries: readonly BookEntry[]): Book {
    const book = new Book();
    for (const [period, backend, dimension, amount] of entries) book.add(period, backend, { [dimension]: amount });
    return book;
  }

  add(period: string, backend: string, usage: Readonly<Record<string, number>>): void {
    for (const [dimension, amount] of Object.entries(usage)) {
      const key = JSON.stringify([period, backend, dimension]);
      const sum = (this.#amounts.get(key) ?? 0) + amount;
      if (sum === 0) this.#amounts.delete(key);
      else this.#amounts.set(key, sum);
    }
  }

  subtract(period: string, backend: string, usage: Readonly<Record<string, number>>): void {
    const less = Object.entries(usage).map(([dimension, amount]) => [dimension, -amount]);
    this.add(period, backend, Object.fromEntries(less));
  }

  copy(): Book {
    return Book.of(this.entries());
  }

  /** In a fixed order. */
  entries(): readonly BookEntry[] {
    const entries = Array.from(this.#amounts, ([key, amount]): BookEntry => {
      const [period, backend, dimension] = JSON.parse(key) as [string, string, string];
      return [period, backend, dimension, amount];
    });
    return entries.sort((a, b) => (JSON.stringify(a.slice(0, 3)) < JSON.stringify(b.slice(0, 3)) ? -1 : 1));
  }

  /** Whether no amount here is above the other's. */
  isAtMost(other: Book): boolean {
    return [...this.#amounts].every(([key, amount]) => amount <= (other.#amounts.get(key) ?? 0));
  }
}
