import { type HeapPeriods, UNLIMITED } from "@usage/counter-core/internal";
import type { Pair } from "../server/shared-counts.ts";
import type { Demand } from "./demand.ts";
import { PairBook } from "./pair-book.ts";
import type { SharedPeriod } from "./shared-period.ts";

/** The ceiling of a row that may use nothing, whatever it holds. */
const CLOSED = Number.NEGATIVE_INFINITY;

export interface SliceTerms {
  readonly periods: HeapPeriods;
  /** The number of dimensions. */
  readonly size: number;
  readonly isExact: boolean;
  /** Whether all is to be given back. */
  readonly isClosing: () => boolean;
}

/** What this process may use of one period without asking, by row: what its tally may grow to, and why it may not just now. */
export class PeriodSlices {
  readonly shared: SharedPeriod;
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
  /** Those with open holds, as far as it was looked. */
  readonly holding: Set<number> = new Set();
  /** When what they hold is to be said again, by `Clock.elapsed`. */
  remindAtMs: number = Number.NEGATIVE_INFINITY;
  /** By cell, what all writers were forgiven, as far as known. */
  readonly forgiven: Map<number, number> = new Map();
  readonly #terms: SliceTerms;

  constructor(shared: SharedPeriod, terms: SliceTerms) {
    this.shared = shared;
    this.#terms = terms;
  }

  get isCurrent(): boolean {
    return this.shared.cells === this.#terms.periods.current();
  }

  /** The cells of a row. */
  cellsOf(row: number): number[] {
    const { size } = this.#terms;
    return Array.from({ length: size }, (_, place) => row * size + place);
  }

  pairsOf(row: number): Pair[] {
    // fault: says that it gives back what it goes on using
    return this.cellsOf(row).map((cell) => ({
      granted: this.pairs.granted(cell),
      returned: this.pairs.returned(cell),
      // fault: what was written off is not said again after a loss
      forgiven: this.pairs.forgiven(cell),
    }));
  }

  /** What is counted and held. */
  used(cell: number): number {
    return this.shared.cells.mine(cell) + this.shared.cells.held(cell);
  }

  /** What may be used besides; less than nothing where more is used than was granted. */
  slack(cell: number): number {
    return this.pairs.ceiling(cell) - this.used(cell);
  }

  hasSlack(row: number): boolean {
    return this.cellsOf(row).some((cell) => this.slack(cell) > 0);
  }

  isHolding(row: number): boolean {
    return this.cellsOf(row).some((cell) => this.shared.cells.held(cell) > 0);
  }

  /** Whether a cell takes no more than was granted. */
  isSliced(cell: number): boolean {
    const { periods, isExact, isClosing } = this.#terms;
    return isExact && !isClosing() && this.isCurrent && periods.limit(cell) !== UNLIMITED;
  }

  /** Raises what was granted and what is returned, and notes that the shared counts are to hear of it. */
  say(row: number, cell: number, pair: Partial<Pair>): void {
    if (this.pairs.raise(cell, pair)) this.unsaid.add(row);
  }

  /** Returns all of a row's slice but so much of each cell. It stops using it before anybody hears of it. */
  giveBack(row: number, keep: (cell: number) => number = () => 0): void {
    let isAny = false;
    for (const cell of this.cellsOf(row)) {
      const surplus = this.slack(cell) - keep(cell);
      if (!(surplus > 0)) continue;
      this.say(row, cell, { returned: this.pairs.returned(cell) + surplus });
      isAny = true;
    }
    if (!isAny) return;
    this.open(row);
    this.shared.apply(row, { kind: "changed" });
  }

  /** Lets a row be used as far as its slice goes. */
  open(row: number): void {
    const { periods, isExact } = this.#terms;
    if (!isExact) return;
    const isClosed = this.suspended.has(row) || this.over.has(row);
    for (const cell of this.cellsOf(row)) {
      // fault: uses what was not granted
      periods.setCeiling(this.shared.cells, cell, isClosed ? CLOSED : this.pairs.ceiling(cell));
    }
  }

  /** The row is another backend's now. */
  clear(row: number): void {
    for (const cell of this.cellsOf(row)) {
      this.pairs.clear(cell);
      this.#terms.periods.setHeldElsewhere(this.shared.cells, cell, 0);
      this.forgiven.delete(cell);
    }
    this.active.delete(row);
    for (const rows of [this.unsaid, this.suspended, this.over, this.unannounced, this.holding]) rows.delete(row);
    this.open(row);
  }
}
