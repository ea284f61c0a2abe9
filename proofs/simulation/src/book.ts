/** Amounts by whatever they are of: a run, a period, a backend, a dimension. */
export class Book {
  readonly #amounts = new Map<string, number>();

  add(amount: number, ...of: readonly string[]): void {
    this.set(this.get(...of) + amount, ...of);
  }

  set(amount: number, ...of: readonly string[]): void {
    this.#amounts.set(of.join("\n"), amount);
  }

  get(...of: readonly string[]): number {
    return this.#amounts.get(of.join("\n")) ?? 0;
  }

  *entries(): Generator<readonly [of: readonly string[], amount: number]> {
    for (const [of, amount] of this.#amounts) yield [of.split("\n"), amount];
  }
}
