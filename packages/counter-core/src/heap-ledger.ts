import type { Ledger } from "./ledger.ts";
import type { PeriodScheme } from "./period.ts";
import { PeriodArchive } from "./period-archive.ts";
import { HeapCells, type PeriodCells } from "./period-cells.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** Cells in the memory of one thread. */
export class HeapLedger implements Ledger {
  readonly canGrow = true;
  readonly #periods: PeriodScheme;
  readonly #archive: PeriodArchive;
  #cells: number;
  #current: HeapCells;

  constructor(periods: PeriodScheme, nowMs: number, cells: number) {
    this.#periods = periods;
    this.#archive = new PeriodArchive(periods);
    this.#cells = cells;
    this.#current = this.#open(nowMs);
  }

  add(cell: number, amount: number): boolean {
    const { totals } = this.#current;
    const sum = (totals[cell] as number) + amount;
    if (sum > MAX) return false;
    totals[cell] = sum;
    return true;
  }

  addAll(row: number, amounts: Float64Array): boolean {
    const { totals } = this.#current;
    const a = (totals[row] as number) + (amounts[0] as number);
    const b = (totals[row + 1] as number) + (amounts[1] as number);
    const c = (totals[row + 2] as number) + (amounts[2] as number);
    const d = (totals[row + 3] as number) + (amounts[3] as number);
    if (a > MAX || b > MAX || c > MAX || d > MAX) return false;
    if (amounts.length > 4 && !addFrom(4, totals, row, amounts)) return false;
    totals[row] = a;
    totals[row + 1] = b;
    totals[row + 2] = c;
    totals[row + 3] = d;
    return true;
  }

  readTotal(row: number, size: number, out: Float64Array): void {
    const { totals } = this.#current;
    for (let i = 0; i < size; i++) out[i] = totals[row + i] as number;
  }

  readTotals(rows: number, stride: number, size: number, out: Float64Array): void {
    const { totals } = this.#current;
    let at = 0;
    for (let row = 0; row < rows * stride; row += stride) {
      for (let i = 0; i < size; i++) out[at++] = totals[row + i] as number;
    }
  }

  advance(nowMs: number): number {
    const { start, end } = this.#current.period;
    if (nowMs < start || nowMs >= end) {
      // fault: lets the cells of a closed period go at once
      this.#archive.close(this.#current);
      this.#current = this.#open(nowMs);
    }
    this.#archive.dropSettled(nowMs, this.#cells);
    return this.#current.period.end - nowMs;
  }

  current(): PeriodCells {
    return this.#current;
  }

  all(): readonly PeriodCells[] {
    return [...this.#archive.closed, this.#current];
  }

  reserve(needed: number): void {
    if (needed <= this.#cells) return;
    const cells = Math.max(needed, 2 * this.#cells);
    for (const period of [...this.#archive.closed, this.#current]) period.grow(cells);
    this.#cells = cells;
  }

  newGeneration(): number {
    return this.#archive.newGeneration();
  }

  #open(nowMs: number): HeapCells {
    const period = this.#periods.at(nowMs);
    return this.#archive.reopen(period) ?? new HeapCells(period, this.#archive.generationsOf(period), this.#cells);
  }
}

/** The cells of a row after its first block: all of them, or none. */
function addFrom(start: number, totals: Float64Array, row: number, amounts: Float64Array): boolean {
  for (let i = start; i < amounts.length; i++) {
    if ((totals[row + i] as number) + (amounts[i] as number) > MAX) return false;
  }
  for (let i = start; i < amounts.length; i++) {
    totals[row + i] = (totals[row + i] as number) + (amounts[i] as number);
  }
  return true;
}
