import type { Period } from "../model/period.ts";
import type { RowSet } from "./row-set.ts";

/**
 * So many amounts are read and added at once, without asking how many dimensions there are: an array of amounts has at least as
 * many elements, and those behind the dimensions are zero.
 */
export const AT_ONCE = 4;

/**
 * The current period's cells, as the request path sees them. A cell is one dimension of one backend: the backend's row times
 * the number of dimensions, plus the dimension's place.
 */
export interface RecordingCells {
  /** Adds to one cell; returns false and changes nothing where the total would pass 2^53-1. */
  add(row: number, place: number, amount: number): boolean;
  /** Adds to a row, all of it or, returning false, nothing. */
  addAll(row: number, amounts: Float64Array): boolean;
  /** Writes the totals of a row to `out`. */
  readTotal(row: number, out: Float64Array): void;
}

/** The cells of one period, as holds see them. */
export interface HoldingCells {
  readonly period: Period;
  /** How many holds are open: until there are none, the period is kept. */
  openHolds: number;
}

/** The cells of all periods, as holds see them. */
export interface HoldingPeriods {
  current(): HoldingCells;
  /** Keeps amounts of a row free, where no total passes its limit with them; otherwise returns false and changes nothing. */
  tryKeepFree(cells: HoldingCells, row: number, amounts: Float64Array): boolean;
  /** Keeps as much less free of a row. */
  free(cells: HoldingCells, row: number, amounts: Float64Array): void;
  /**
   * Counts in the period of `cells`, and keeps `kept` free no more: what is not counted of that is free again, and what is counted
   * beyond it may pass a limit, and is noted.
   */
  countHeld(cells: HoldingCells, row: number, amounts: Float64Array, kept: Float64Array): void;
  /** The first place whose total would pass 2^53-1 with so much more; below zero: none. */
  tooLarge(cells: HoldingCells, row: number, amounts: Float64Array): number;
}

/** The cells of one period, as the hops see them. */
export interface PeriodCells extends HoldingCells {
  /** Under which generation of the writer's name each row counts. */
  readonly generations: Generations;
  /** One for each replica: the store first. */
  readonly hops: readonly HopCells[];
  /** What this process counted. */
  mine(cell: number): number;
  setMine(cell: number, amount: number): void;
  /** The most that any replica showed of what everybody else counted. */
  others(cell: number): number;
  /** What one replica showed of it. The total follows. */
  setOthers(hop: number, cell: number, amount: number): void;
  /** What open holds keep free of a cell. */
  held(cell: number): number;
  /** What other processes keep free of a cell, as far as it is known. */
  heldElsewhere(cell: number): number;
  /** The rows of which what is held has changed. Whoever shares holds takes them out of it. */
  readonly heldRows: RowSet;
  /** What was counted in a cell beyond what was held for it, so that it may have passed its limit. */
  excess(cell: number): number;
  /** What was granted of a cell for this period: part of its limit. */
  credit(cell: number): number;
  /** What a cell began with that was taken up again: counted before its backend was let go of. */
  readonly takenUp: Map<number, number>;
}

/** What this process knows of one replica in one period, by cell. */
export interface HopCells {
  /** The part of `mine` that the replica is known to have. */
  readonly confirmed: Float64Array;
  /** What it showed of everybody else's. */
  readonly others: Float64Array;
  /** The rows of which it may lack something. */
  readonly due: RowSet;
}

/** All cells that a process holds: those of the current period, and of closed ones that are still needed. */
export interface Periods extends RecordingCells, HoldingPeriods {
  /** `addAll` where no total passes its cap; otherwise returns false and changes nothing. */
  tryAddAll(row: number, amounts: Float64Array): boolean;
  /** Takes back what was added just now. */
  takeBack(row: number, amounts: Float64Array): void;
  /** Whether `tryAddAll` would add. */
  fits(row: number, amounts: Float64Array): boolean;
  /** The most that a cell's total may become in the current period, with what was granted; 2^53-1 where it is not limited. */
  limit(cell: number): number;
  /** The limit of every period. What was granted stays. */
  setLimit(cell: number, limit: number): void;
  /** What was granted of a cell for the period of `cells`. */
  setCredit(cells: PeriodCells, cell: number, credit: number): void;
  /** Whether any total has reached this part of its cap, where that leaves anything to use. */
  isAnyAt(ratio: number): boolean;
  /** Notes that a row is in use. */
  use(row: number): void;
  /** When a row was last used, as of the last look at the clock, in seconds since the Unix epoch. */
  usedAt(row: number): number;
  /** Takes over the time; returns the milliseconds until it wants to know again. */
  advance(nowMs: number): number;
  current(): PeriodCells;
  /** Every period that is held, the earliest first. What was counted so far is due in them. */
  all(): readonly PeriodCells[];
  /** Makes room for `rows` rows. @throws RangeError where the rows are fixed. */
  reserve(rows: number): void;
  /** A generation that no row has counted under yet. */
  newGeneration(): number;
}

/**
 * Which rows of a period began at zero again. A tally only grows; a row that begins again therefore counts under another
 * writer's name, told apart by its generation.
 */
export class Generations {
  readonly #initial: number;
  readonly #renewed = new Map<number, number>();
  readonly #barred = new Set<string>();
  /** The rows that began again, and of which was not read since what is stored under their former names. */
  readonly unread: Set<number> = new Set();

  constructor(initial: number) {
    this.#initial = initial;
  }

  /** Whether all rows began again: what was counted before was let go of with the period. */
  get allBeganAgain(): boolean {
    return this.#initial !== 0;
  }

  /** 0 for a row that never began again. */
  of(row: number): number {
    return this.#renewed.get(row) ?? this.#initial;
  }

  /** Whether a backend that was let go of counts on under the run's own name. */
  mayGoOn(backend: string): boolean {
    return this.#initial === 0 && !this.#barred.has(backend);
  }

  /** What a backend counted under the run's own name was forgotten, and may still arrive somewhere: nothing goes on from it. */
  bar(backend: string): void {
    this.#barred.add(backend);
  }

  renew(row: number, generation: number): void {
    this.#renewed.set(row, generation);
    this.unread.add(row);
  }

  /** For a row that another backend takes over in a period of which it has counted nothing yet. */
  reset(row: number): void {
    this.#renewed.delete(row);
    this.unread.delete(row);
  }
}
