import type { StoredUsage, Tally } from "@usage/counter-core";
import { amountOf } from "@usage/counter-core/internal";

/** A database's rows, without the database: one amount per period, backend, writer and dimension, merged by maximum. */
export class ModelStore {
  readonly #rows = new Map<string, Tally>();
  /** How often it was written to. */
  revision = 0;

  merge(tallies: readonly Tally[]): void {
    this.revision += 1;
    for (const { writer, period, backend, usage } of tallies) {
      const key = JSON.stringify([period, backend, writer]);
      const known = this.#rows.get(key)?.usage ?? {};
      // fault: the model of a store adds instead of keeping the maximum
      const merged = Object.entries(usage).map(([name, amount]) => [name, Math.max(amount, amountOf(known, name))]);
      this.#rows.set(key, { writer, period, backend, usage: { ...known, ...Object.fromEntries(merged) } });
    }
  }

  totals(period: string, writer: string, dimensions: readonly string[]): ReadonlyMap<string, StoredUsage<string>> {
    const backends = Map.groupBy(
      this.rows().filter((row) => row.period === period),
      ({ backend }) => backend,
    );
    const sum = (rows: readonly Tally[]): Record<string, number> =>
      Object.fromEntries(
        dimensions.map((name) => [name, rows.reduce((all, { usage }) => all + amountOf(usage, name), 0)]),
      );
    return new Map(
      Array.from(backends, ([backend, rows]) => [
        backend,
        { all: sum(rows), own: sum(rows.filter((row) => row.writer === writer)) },
      ]),
    );
  }

  tallies(period: string, backends: readonly string[]): readonly Tally[] {
    return this.rows().filter((row) => row.period === period && backends.includes(row.backend));
  }

  rows(): readonly Tally[] {
    return [...this.#rows.values()];
  }
}
