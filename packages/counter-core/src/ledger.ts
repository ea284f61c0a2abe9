import type { TimeKept } from "./coarse-clock.ts";
import type { PeriodCells } from "./period-cells.ts";

/** The current period's cells, as the request path sees them. */
export interface RecordingCells {
  /** Adds to one cell; answers false and changes nothing where the total would pass 2^53-1. */
  add(cell: number, amount: number): boolean;
  /** Adds a block-padded array to a row, all of it or, answering false, nothing. */
  addAll(row: number, amounts: Float64Array): boolean;
  /** Writes the first `size` totals of a row to `out`. */
  readTotal(row: number, size: number, out: Float64Array): void;
}

/** All cells that a process holds: those of the current period, and of closed ones that are still needed. */
export interface Ledger extends RecordingCells, TimeKept {
  /** Whether cells can be added. */
  readonly canGrow: boolean;
  /** `readTotal` of `rows` rows, `stride` cells apart, one after the other without gaps. */
  readTotals(rows: number, stride: number, size: number, out: Float64Array): void;
  current(): PeriodCells;
  /** Every period that is held, the earliest first. */
  all(): readonly PeriodCells[];
  /** Makes room for `cells` cells. @throws RangeError where it cannot grow. */
  reserve(cells: number): void;
  /** A number that no row's counts have gone by yet. */
  newGeneration(): number;
}
