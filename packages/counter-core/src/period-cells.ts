import type { Period } from "./period.ts";

/**
 * The cells of one period, as the flush path sees them. A cell is one dimension of one backend: its index is the backend's
 * row plus the dimension's place.
 */
export abstract class PeriodCells {
  readonly period: Period;
  readonly generations: Generations;

  constructor(period: Period, generations: Generations) {
    this.period = period;
    this.generations = generations;
  }

  /** What this process counted. */
  abstract mine(cell: number): number;
  /** Adds to `mine`, atomically. */
  abstract add(cell: number, amount: number): void;
  /** Reads and zeroes `mine`, atomically. */
  abstract take(cell: number): number;
  /** What everybody else counted, as far as known. */
  abstract others(cell: number): number;
  abstract setOthers(cell: number, amount: number): void;
  /** The part of `mine` that is known to be stored. */
  abstract settled(cell: number): number;
  abstract setSettled(cell: number, amount: number): void;

  /** Raises `others` to a lower bound, as far as the total stays a safe integer. */
  raiseOthers(cell: number, lowerBound: number): void {
    const amount = Math.min(lowerBound, Number.MAX_SAFE_INTEGER - this.mine(cell));
    if (amount > this.others(cell)) this.setOthers(cell, amount);
  }

  /** Whether the store is known to have everything of the first `cells` cells. */
  isSettled(cells: number): boolean {
    for (let cell = 0; cell < cells; cell++) if (this.mine(cell) !== this.settled(cell)) return false;
    return true;
  }

  /** Moves the first `cells` cells to `target`, which was just made for the same period. */
  moveTo(target: PeriodCells, cells: number): void {
    for (let cell = 0; cell < cells; cell++) {
      target.add(cell, this.take(cell));
      target.setSettled(cell, this.settled(cell));
      target.raiseOthers(cell, this.others(cell));
      this.setSettled(cell, 0);
      this.setOthers(cell, 0);
    }
  }
}

/**
 * Which rows of a period began at zero again. A tally only grows; a row that begins again therefore counts under another
 * writer's name, told apart by its generation.
 */
export class Generations {
  readonly #initial: number;
  readonly #renewed = new Map<number, number>();

  constructor(initial: number) {
    this.#initial = initial;
  }

  /** 0 for a row that never began again. */
  of(row: number): number {
    return this.#renewed.get(row) ?? this.#initial;
  }

  renew(row: number, generation: number): void {
    this.#renewed.set(row, generation);
  }
}

/** The cells of one period in this thread's memory. A function that runs to completion is atomic there. */
export class HeapCells extends PeriodCells {
  /** `mine + others`, for the request path: one read tells what is left, and `mine` is the difference, exact below 2^53. */
  totals: Float64Array;
  #others: Float64Array;
  #settled: Float64Array;

  constructor(period: Period, generations: Generations, cells: number) {
    super(period, generations);
    this.totals = new Float64Array(cells);
    this.#others = new Float64Array(cells);
    this.#settled = new Float64Array(cells);
  }

  grow(cells: number): void {
    this.totals = grown(this.totals, cells);
    this.#others = grown(this.#others, cells);
    this.#settled = grown(this.#settled, cells);
  }

  mine(cell: number): number {
    return (this.totals[cell] as number) - this.others(cell);
  }

  others(cell: number): number {
    return this.#others[cell] as number;
  }

  setOthers(cell: number, amount: number): void {
    this.totals[cell] = this.mine(cell) + amount;
    this.#others[cell] = amount;
  }

  settled(cell: number): number {
    return this.#settled[cell] as number;
  }

  setSettled(cell: number, amount: number): void {
    this.#settled[cell] = amount;
  }

  add(cell: number, amount: number): void {
    this.totals[cell] = (this.totals[cell] as number) + amount;
  }

  take(cell: number): number {
    const amount = this.mine(cell);
    this.totals[cell] = this.others(cell);
    return amount;
  }
}

function grown(cells: Float64Array, length: number): Float64Array {
  const larger = new Float64Array(length);
  larger.set(cells);
  return larger;
}
