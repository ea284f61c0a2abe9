import type { Period } from "../model/period.ts";
import { AT_ONCE, type Generations, type HopCells, type PeriodCells } from "./cells.ts";
import { RowSet } from "./row-set.ts";

/** The cells of one period in this thread's memory. A function that runs to completion is atomic there. */
export class HeapCells implements PeriodCells {
  readonly period: Period;
  readonly generations: Generations;
  readonly hops: readonly HeapHop[];
  readonly takenUp: Map<number, number> = new Map();
  /**
   * `mine + others`, for the request path: one read tells what is used, and `mine` is the difference, exact below 2^53. Some
   * cells are behind the last row's, for `addAll`.
   */
  totals: Float64Array;
  openHolds = 0;
  readonly heldRows: RowSet;
  /** Made with the first hold: a million backends without holds pay nothing for them. */
  #held: Float64Array | undefined;
  #excess: Float64Array | undefined;
  #heldElsewhere: Float64Array | undefined;
  #credits: Float64Array | undefined;
  /** In exact mode: the most of each cell that this process may count and hold. */
  #ceilings: Float64Array | undefined;
  readonly #othersChanged: ((cells: HeapCells, cell: number) => void) | undefined;

  /** @param othersChanged - Is told of each cell of which others turn out to have another amount. */
  constructor(
    period: Period,
    generations: Generations,
    { rows, size, hops, isExact }: CellsShape,
    othersChanged?: (cells: HeapCells, cell: number) => void,
  ) {
    this.period = period;
    this.generations = generations;
    this.#othersChanged = othersChanged;
    this.heldRows = new RowSet(rows);
    if (isExact) this.#ceilings = new Float64Array(rows * size);
    this.totals = new Float64Array(rows * size + AT_ONCE);
    this.hops = Array.from({ length: hops }, () => new HeapHop(rows, size));
  }

  grow(rows: number, size: number): void {
    this.totals = grown(this.totals, rows * size + AT_ONCE);
    for (const hop of this.hops) hop.grow(rows, size);
    this.heldRows.grow(rows);
    this.#held &&= grown(this.#held, rows * size);
    this.#excess &&= grown(this.#excess, rows * size);
    this.#heldElsewhere &&= grown(this.#heldElsewhere, rows * size);
    this.#credits &&= grown(this.#credits, rows * size);
    this.#ceilings &&= grown(this.#ceilings, rows * size);
  }

  held(cell: number): number {
    return this.#held?.[cell] ?? 0;
  }

  /** What is held, by cell, of which a row is about to change. */
  changeHeld(row: number): Float64Array {
    this.#held ??= new Float64Array(this.totals.length);
    this.heldRows.add(row);
    return this.#held;
  }

  heldElsewhere(cell: number): number {
    return this.#heldElsewhere?.[cell] ?? 0;
  }

  setHeldElsewhere(cell: number, amount: number): void {
    this.#heldElsewhere ??= new Float64Array(this.totals.length);
    this.#heldElsewhere[cell] = amount;
  }

  credit(cell: number): number {
    return this.#credits?.[cell] ?? 0;
  }

  setCredit(cell: number, credit: number): void {
    this.#credits ??= new Float64Array(this.totals.length);
    this.#credits[cell] = credit;
  }

  /** Infinity where only the limit is minded. */
  ceiling(cell: number): number {
    return this.#ceilings?.[cell] ?? Number.POSITIVE_INFINITY;
  }

  /** Only in exact mode. */
  setCeiling(cell: number, ceiling: number): void {
    if (this.#ceilings !== undefined) this.#ceilings[cell] = ceiling;
  }

  excess(cell: number): number {
    return this.#excess?.[cell] ?? 0;
  }

  exceed(cell: number, amount: number): void {
    this.#excess ??= new Float64Array(this.totals.length);
    this.#excess[cell] = (this.#excess[cell] as number) + amount;
  }

  /** Notes what was counted in a row beyond what was kept free for it. */
  noteExcess(start: number, amounts: Float64Array, kept: Float64Array, size: number): void {
    for (let i = 0; i < size; i++) {
      const excess = (amounts[i] as number) - (kept[i] as number);
      if (excess > 0) this.exceed(start + i, excess);
    }
  }

  mine(cell: number): number {
    return (this.totals[cell] as number) - this.others(cell);
  }

  setMine(cell: number, amount: number): void {
    this.totals[cell] = amount + this.others(cell);
  }

  others(cell: number): number {
    const { hops } = this;
    let most = (hops[0] as HeapHop).others[cell] as number;
    for (let i = 1; i < hops.length; i++) most = Math.max(most, (hops[i] as HeapHop).others[cell] as number);
    return most;
  }

  setOthers(hop: number, cell: number, amount: number): void {
    const mine = this.mine(cell);
    const { others } = this.hops[hop] as HeapHop;
    others[cell] = amount;
    this.setMine(cell, mine);
    this.#othersChanged?.(this, cell);
  }
}

export interface CellsShape {
  readonly rows: number;
  /** Cells of a row: the number of dimensions. */
  readonly size: number;
  readonly hops: number;
  /** Whether each limited cell takes no more than its ceiling, which is 0 at first. */
  readonly isExact?: boolean;
}

export class HeapHop implements HopCells {
  confirmed: Float64Array;
  others: Float64Array;
  readonly due: RowSet;

  constructor(rows: number, size: number) {
    this.confirmed = new Float64Array(rows * size);
    this.others = new Float64Array(rows * size);
    this.due = new RowSet(rows);
  }

  grow(rows: number, size: number): void {
    this.confirmed = grown(this.confirmed, rows * size);
    this.others = grown(this.others, rows * size);
    this.due.grow(rows);
  }
}

export function grown(cells: Float64Array, length: number): Float64Array {
  const larger = new Float64Array(length);
  larger.set(cells);
  return larger;
}
