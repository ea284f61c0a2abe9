import type { PeriodCells, Periods } from "../cells/cells.ts";
import type { Tally } from "../model/usage.ts";
import { writerOf } from "../model/writer.ts";
import type { Rows } from "../request/rows.ts";

/** Rows of cells as tallies of one run, and tallies as rows. */
export class Tallies {
  readonly dimensions: readonly string[];
  readonly #run: string;
  readonly #rows: Rows;
  readonly #periods: Periods;

  constructor(run: string, dimensions: readonly string[], rows: Rows, periods: Periods) {
    this.dimensions = dimensions;
    this.#run = run;
    this.#rows = rows;
    this.#periods = periods;
  }

  /** What this run counted in a row. */
  of(cells: PeriodCells, row: number): Tally {
    const usage: Record<string, number> = {};
    this.dimensions.forEach((dimension, place) => {
      const amount = cells.mine(row * this.dimensions.length + place);
      if (amount > 0) usage[dimension] = amount;
    });
    // fault: counts a closed period into the current one
    const { key } = cells.period;
    return { writer: this.writerOf(cells, row), period: key, backend: this.#rows.nameOf(row), usage };
  }

  /** Under whose name a row counts in a period. */
  writerOf(cells: PeriodCells, row: number): string {
    return writerOf(this.#run, cells.generations.of(row));
  }

  /** Visits the tallies that rows of this run made, with their cells and row. Others are passed over. */
  each(tallies: readonly Tally[], visit: (cells: PeriodCells, row: number, tally: Tally) => void): void {
    const periods = new Map(this.#periods.all().map((cells) => [cells.period.key, cells]));
    for (const tally of tallies) {
      const cells = periods.get(tally.period);
      const row = this.#rows.find(tally.backend);
      if (cells === undefined || row === undefined || tally.writer !== this.writerOf(cells, row)) continue;
      visit(cells, row, tally);
    }
  }
}
