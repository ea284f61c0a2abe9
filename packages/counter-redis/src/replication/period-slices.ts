import type { Demand } from "./demand.ts";
import { PairBook } from "./pair-book.ts";

/** What is known of the slices of one period, by row. */
export class PeriodSlices {
  readonly pairs: PairBook = new PairBook();
  /** Those that have a slice, or are short of one. */
  readonly active: Map<number, Demand> = new Map();
  /** Those whose pair was raised here, and the shared counts are not known to have it. */
  readonly unsaid: Set<number> = new Set();
  /** Those that may use nothing: nobody has heard of them for too long, or more is used and held than may be. */
  readonly suspended: Set<number> = new Set();
  readonly over: Set<number> = new Set();
  /** Those that were not pushed in their bucket's epoch, and until when an exchange showed the one in which they were. */
  readonly unannounced: Map<number, number> = new Map();

  /** The row is another backend's now. */
  clear(row: number, size: number): void {
    for (let cell = row * size; cell < (row + 1) * size; cell++) this.pairs.clear(cell);
    this.active.delete(row);
    for (const rows of [this.unsaid, this.suspended, this.over, this.unannounced]) rows.delete(row);
  }
}
