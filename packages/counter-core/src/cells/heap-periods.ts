import { Hop } from "../hops/hop.ts";
import type { Period, PeriodScheme } from "../model/period.ts";
import { CellCaps } from "./cell-caps.ts";
import { AT_ONCE, type PeriodCells, type Periods } from "./cells.ts";
import { ClosedPeriods } from "./closed-periods.ts";
import { type CellsShape, HeapCells } from "./heap-cells.ts";
import { RowSet } from "./row-set.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** Cells in the memory of one thread, and what is counted in them. */
export class HeapPeriods implements Periods {
  readonly #periods: PeriodScheme;
  readonly #closed: ClosedPeriods;
  readonly #size: number;
  readonly #hops: number;
  /** The first hop, whose replica is the store. */
  readonly #store: Hop;
  /** The rows that were counted in since anybody last asked. */
  readonly #touched: RowSet;
  /** By row, in seconds since the Unix epoch. */
  #usedAt: Uint32Array;
  #nowMs: number;
  #rows: number;
  #current: HeapCells;
  /** Those of the current period: one look less in every call. */
  #totals: Float64Array;
  readonly #caps: CellCaps;
  readonly #isExact: boolean;

  constructor(periods: PeriodScheme, nowMs: number, shape: CellsShape) {
    const { rows, size, hops, isExact = false } = shape;
    this.#periods = periods;
    this.#closed = new ClosedPeriods(periods);
    this.#size = size;
    this.#hops = hops;
    this.#store = new Hop(0, size);
    this.#rows = rows;
    this.#touched = new RowSet(rows);
    this.#usedAt = new Uint32Array(rows);
    this.#nowMs = nowMs;
    this.#isExact = isExact;
    this.#current = this.#open(nowMs);
    this.#totals = this.#current.totals;
    this.#caps = new CellCaps(this.#current, shape);
  }

  add(row: number, place: number, amount: number): boolean {
    const totals = this.#totals;
    const cell = row * this.#size + place;
    const sum = (totals[cell] as number) + amount;
    if (sum > MAX) return false;
    totals[cell] = sum;
    this.#touched.add(row);
    return true;
  }

  /** The four cells from the row's first on are added to at once. Those that are the next row's already get zero. */
  addAll(row: number, amounts: Float64Array): boolean {
    const totals = this.#totals;
    const start = row * this.#size;
    const a = (totals[start] as number) + (amounts[0] as number);
    const b = (totals[start + 1] as number) + (amounts[1] as number);
    const c = (totals[start + 2] as number) + (amounts[2] as number);
    const d = (totals[start + 3] as number) + (amounts[3] as number);
    if (a > MAX || b > MAX || c > MAX || d > MAX) return false;
    if (this.#size > AT_ONCE && !addMore(totals, start, amounts)) return false;
    totals[start] = a;
    totals[start + 1] = b;
    totals[start + 2] = c;
    totals[start + 3] = d;
    this.#touched.add(row);
    return true;
  }

  tryAddAll(row: number, amounts: Float64Array): boolean {
    const totals = this.#totals;
    const caps = this.#caps.values;
    const size = this.#size;
    const start = row * size;
    const a = (totals[start] as number) + (amounts[0] as number);
    const b = (totals[start + 1] as number) + (amounts[1] as number);
    const c = (totals[start + 2] as number) + (amounts[2] as number);
    const d = (totals[start + 3] as number) + (amounts[3] as number);
    if (a > (caps[start] as number)) return false;
    if (b > (caps[start + 1] as number) && size > 1) return false;
    if (c > (caps[start + 2] as number) && size > 2) return false;
    if (d > (caps[start + 3] as number) && size > 3) return false;
    if (size > AT_ONCE && !addMore(totals, start, amounts, caps)) return false;
    totals[start] = a;
    totals[start + 1] = b;
    totals[start + 2] = c;
    totals[start + 3] = d;
    this.#touched.add(row);
    return true;
  }

  takeBack(row: number, amounts: Float64Array): void {
    const start = row * this.#size;
    for (let i = 0; i < this.#size; i++) {
      this.#totals[start + i] = (this.#totals[start + i] as number) - (amounts[i] as number);
    }
  }

  fits(row: number, amounts: Float64Array): boolean {
    const totals = this.#totals;
    const caps = this.#caps.values;
    const size = this.#size;
    const start = row * size;
    for (let i = 0; i < size; i++) {
      if ((totals[start + i] as number) + (amounts[i] as number) > (caps[start + i] as number)) return false;
    }
    return true;
  }

  readTotal(row: number, out: Float64Array): void {
    const totals = this.#totals;
    const size = this.#size;
    const start = row * size;
    for (let i = 0; i < size; i++) out[i] = totals[start + i] as number;
  }

  limit(cell: number): number {
    return this.#caps.limit(cell);
  }

  setLimit(cell: number, limit: number): void {
    this.#caps.setLimit(cell, limit);
  }

  /** The most of a cell that this process may count and hold, in exact mode. */
  setCeiling(cells: PeriodCells, cell: number, ceiling: number): void {
    (cells as HeapCells).setCeiling(cell, ceiling);
    this.#caps.follow(cells as HeapCells, cell);
  }

  setCredit(cells: PeriodCells, cell: number, credit: number): void {
    if (credit === cells.credit(cell)) return;
    this.#caps.keepLimits();
    (cells as HeapCells).setCredit(cell, credit);
    this.#caps.follow(cells as HeapCells, cell);
  }

  /** What other processes keep free of a cell. */
  setHeldElsewhere(cells: PeriodCells, cell: number, amount: number): void {
    if (amount === cells.heldElsewhere(cell)) return;
    this.#caps.keepLimits();
    (cells as HeapCells).setHeldElsewhere(cell, amount);
    this.#caps.follow(cells as HeapCells, cell);
  }

  tryKeepFree(cells: PeriodCells, row: number, amounts: Float64Array): boolean {
    const size = this.#size;
    const start = row * size;
    if (cells === this.#current) {
      if (!this.fits(row, amounts)) return false;
    } else {
      for (let i = 0; i < size; i++) {
        const total = (cells as HeapCells).totals[start + i] as number;
        if (total + (amounts[i] as number) > this.#caps.of(cells as HeapCells, start + i)) return false;
      }
    }
    this.#touched.add(row);
    this.#keepFree(cells as HeapCells, row, amounts, 1);
    return true;
  }

  free(cells: PeriodCells, row: number, amounts: Float64Array): void {
    this.#keepFree(cells as HeapCells, row, amounts, -1);
  }

  countHeld(cells: PeriodCells, row: number, amounts: Float64Array, kept: Float64Array): void {
    const heap = cells as HeapCells;
    const start = row * this.#size;
    this.#touched.add(row);
    if (heap === this.#current) {
      this.#countHeldNow(heap.changeHeld(row), start, amounts, kept);
      return;
    }
    // fault: counts what a hold used in the month in which it ends
    this.#addIn(cells.period, row, amounts);
    heap.noteExcess(start, amounts, kept, this.#size);
    this.#keepFree(heap, row, kept, -1);
  }

  tooLarge(cells: PeriodCells, row: number, amounts: Float64Array): number {
    const { totals } = cells as HeapCells;
    const start = row * this.#size;
    for (let i = 0; i < this.#size; i++) if ((totals[start + i] as number) + (amounts[i] as number) > MAX) return i;
    return -1;
  }

  /** Notes that as much was counted beyond what was held for it. */
  noteExcess(cells: PeriodCells, row: number, place: number, excess: number): void {
    (cells as HeapCells).exceed(row * this.#size + place, excess);
  }

  /** Whether any total has reached this part of its limit, less what is held, where that leaves anything to use. */
  isAnyAt(ratio: number): boolean {
    return this.#caps.isAnyAt(ratio);
  }

  use(row: number): void {
    this.#touched.add(row);
  }

  usedAt(row: number): number {
    this.#noteTouched();
    return this.#usedAt[row] as number;
  }

  advance(nowMs: number): number {
    this.#nowMs = nowMs;
    const { start, end } = this.#current.period;
    if (nowMs < start || nowMs >= end) {
      this.#noteTouched();
      const before = this.#current;
      // fault: lets the cells of a closed period go at once
      this.#closed.add(before);
      const next = this.#open(nowMs);
      this.#caps.turn(next);
      this.#current = next;
      this.#totals = next.totals;
    }
    this.#closed.dropStored(nowMs, (cells) => cells.openHolds === 0 && this.#store.due(cells).length === 0);
    return this.#current.period.end - nowMs;
  }

  current(): PeriodCells {
    return this.#current;
  }

  all(): readonly PeriodCells[] {
    this.#noteTouched();
    return [...this.#closed.cells, this.#current];
  }

  reserve(needed: number): void {
    if (needed <= this.#rows) return;
    const rows = Math.max(needed, 2 * this.#rows, 16);
    const usedAt = new Uint32Array(rows);
    usedAt.set(this.#usedAt);
    this.#caps.grow(rows, this.#size);
    this.#touched.grow(rows);
    this.#usedAt = usedAt;
    try {
      for (const cells of [...this.#closed.cells, this.#current]) cells.grow(rows, this.#size);
    } finally {
      // Also where there is no memory for the rest: what the request path adds to is what is stored.
      this.#totals = this.#current.totals;
    }
    this.#rows = rows;
  }

  /** Adds to a cell of any period, also one that was let go of; whoever adds has minded the largest number. */
  addIn(period: Period, row: number, place: number, amount: number): void {
    const cells = this.#cellsOf(period);
    const cell = row * this.#size + place;
    cells.totals[cell] = (cells.totals[cell] as number) + amount;
    if (cells === this.#current) this.#touched.add(row);
    else for (const { due } of cells.hops) due.add(row);
  }

  #addIn(period: Period, row: number, amounts: Float64Array): void {
    for (let i = 0; i < this.#size; i++) {
      if ((amounts[i] as number) > 0) this.addIn(period, row, i, amounts[i] as number);
    }
  }

  newGeneration(): number {
    return this.#closed.newGeneration();
  }

  /** The same in the current period, in one pass: this is what most holds come to. */
  #countHeldNow(held: Float64Array, start: number, amounts: Float64Array, kept: Float64Array): void {
    const totals = this.#totals;
    const caps = this.#caps.values;
    for (let i = 0; i < this.#size; i++) {
      const cell = start + i;
      const amount = amounts[i] as number;
      const free = kept[i] as number;
      totals[cell] = (totals[cell] as number) + amount;
      held[cell] = (held[cell] as number) - free;
      caps[cell] = (caps[cell] as number) + free;
      if (amount > free) this.#current.exceed(cell, amount - free);
    }
  }

  /** Whatever a cap follows from, it is less by all that is held: see `CellCaps`. */
  #keepFree(cells: HeapCells, row: number, amounts: Float64Array, sign: 1 | -1): void {
    const caps = this.#caps.values;
    const held = cells.changeHeld(row);
    const start = row * this.#size;
    // fault: what is held in one month is not free in another
    const isCurrent = cells === this.#current;
    for (let i = 0; i < this.#size; i++) {
      const change = sign * (amounts[i] as number);
      held[start + i] = (held[start + i] as number) + change;
      if (isCurrent) caps[start + i] = (caps[start + i] as number) - change;
    }
  }

  #cellsOf(period: Period): HeapCells {
    if (period.start === this.#current.period.start) return this.#current;
    const held = this.#closed.cells.find((cells) => cells.period.start === period.start);
    if (held !== undefined) return held;
    const cells = this.#cellsFor(period);
    this.#closed.add(cells);
    return cells;
  }

  /** What was counted in is due at every replica. */
  #noteTouched(): void {
    const now = Math.floor(this.#nowMs / 1_000);
    for (const row of this.#touched.rows()) {
      this.#usedAt[row] = now;
      for (const { due } of this.#current.hops) due.add(row);
    }
    this.#touched.clear();
  }

  #open(nowMs: number): HeapCells {
    const period = this.#periods.at(nowMs);
    return this.#closed.reopen(period) ?? this.#cellsFor(period);
  }

  #cellsFor(period: Period): HeapCells {
    const shape = { rows: this.#rows, size: this.#size, hops: this.#hops, isExact: this.#isExact };
    const generations = this.#closed.generationsOf(period);
    if (!this.#isExact) return new HeapCells(period, generations, shape);
    return new HeapCells(period, generations, shape, (of, cell) => this.#caps.follow(of, cell));
  }
}

/** The cells of a row behind the first four: all of them, or none. */
function addMore(totals: Float64Array, start: number, amounts: Float64Array, caps?: Float64Array): boolean {
  const size = amounts.length;
  for (let i = AT_ONCE; i < size; i++) {
    const cap = caps === undefined ? MAX : (caps[start + i] as number);
    if ((totals[start + i] as number) + (amounts[i] as number) > cap) return false;
  }
  for (let i = AT_ONCE; i < size; i++) totals[start + i] = (totals[start + i] as number) + (amounts[i] as number);
  return true;
}
