import type { Ledger } from "./ledger.ts";
import type { PeriodScheme } from "./period.ts";
import { PeriodArchive } from "./period-archive.ts";
import { type Generations, HeapCells, PeriodCells } from "./period-cells.ts";
import type { SharedCells } from "./shared-cells.ts";

/** The owner's side of shared cells: empties closed slots into its own memory, so that they can be used again. */
export class SharedLedger implements Ledger {
  readonly canGrow = false;
  readonly #shared: SharedCells;
  readonly #periods: PeriodScheme;
  readonly #archive: PeriodArchive;
  readonly #cells: number;
  readonly #slots: (SlotCells | undefined)[] = [undefined, undefined];
  #nowMs: number;

  constructor(shared: SharedCells, periods: PeriodScheme, nowMs: number, cells: number) {
    this.#shared = shared;
    this.#periods = periods;
    this.#archive = new PeriodArchive(periods);
    this.#cells = cells;
    this.#nowMs = nowMs;
    this.advance(nowMs);
  }

  add(cell: number, amount: number): boolean {
    return this.#shared.add(cell, amount);
  }

  addAll(row: number, amounts: Float64Array): boolean {
    return this.#shared.addAll(row, amounts);
  }

  readTotal(row: number, size: number, out: Float64Array): void {
    this.#shared.readTotal(row, size, out);
  }

  readTotals(rows: number, stride: number, size: number, out: Float64Array): void {
    for (let i = 0; i < rows; i++) this.#shared.readTotal(i * stride, size, out, i * size);
  }

  advance(nowMs: number): number {
    this.#nowMs = nowMs;
    let untilTurn = this.#shared.advance(nowMs);
    const { start, end } = this.current().period;
    const blocked = nowMs < start || nowMs >= end;
    const untilFree = this.#freeClosedSlot(nowMs, blocked);
    if (blocked) untilTurn = this.#shared.advance(nowMs);
    this.#archive.dropSettled(nowMs, this.#cells);
    return Math.min(untilTurn, untilFree);
  }

  current(): PeriodCells {
    for (;;) {
      const cells = this.#slot(this.#shared.currentSlot);
      if (cells !== undefined) return cells;
      // A thread whose clock stepped back turned to the closed slot while it was being freed.
      this.#shared.advance(this.#nowMs);
    }
  }

  all(): readonly PeriodCells[] {
    // The slots first: looking at one may take its period out of the archive.
    const current = this.current();
    const closed = this.#slot(1 - this.#shared.currentSlot);
    return [...this.#archive.closed, ...(closed === undefined || closed === current ? [] : [closed]), current];
  }

  reserve(): void {
    throw new RangeError("shared cells have the backends that they were made with: name them all in the constructor");
  }

  newGeneration(): number {
    return this.#archive.newGeneration();
  }

  /**
   * A closed slot stays in place through half of the next period, for threads that still add to it, unless it is needed
   * sooner because the clock was set. Answers the milliseconds until then, or infinity when no slot is closed.
   */
  #freeClosedSlot(nowMs: number, needed: boolean): number {
    const index = 1 - this.#shared.currentSlot;
    const slot = this.#slot(index);
    if (slot === undefined) return Number.POSITIVE_INFINITY;
    const { start, end } = this.current().period;
    const left = (start + end) / 2 - nowMs;
    if (left > 0 && !needed) return left;
    const closed = new HeapCells(slot.period, slot.generations, this.#cells);
    slot.moveTo(closed, this.#cells);
    this.#archive.close(closed);
    this.#slots[index] = undefined;
    this.#shared.free(index);
    return Number.POSITIVE_INFINITY;
  }

  #slot(index: number): SlotCells | undefined {
    const start = this.#shared.startOf(index);
    if (start === undefined) return undefined;
    const known = this.#slots[index];
    if (known?.period.start === start) return known;
    const period = this.#periods.at(start);
    const closed = this.#archive.reopen(period);
    const generations = closed?.generations ?? this.#archive.generationsOf(period);
    const cells = new SlotCells(period, generations, this.#shared, index, this.#cells);
    closed?.moveTo(cells, this.#cells);
    this.#slots[index] = cells;
    return cells;
  }
}

/** One slot of the shared cells. What is settled is the owner's own affair. */
class SlotCells extends PeriodCells {
  readonly #shared: SharedCells;
  readonly #slot: number;
  readonly #settled: Float64Array;

  constructor(
    period: PeriodCells["period"],
    generations: Generations,
    shared: SharedCells,
    slot: number,
    cells: number,
  ) {
    super(period, generations);
    this.#shared = shared;
    this.#slot = slot;
    this.#settled = new Float64Array(cells);
  }

  mine(cell: number): number {
    return this.#shared.mine(this.#slot, cell);
  }

  add(cell: number, amount: number): void {
    this.#shared.addTo(this.#slot, cell, amount);
  }

  take(cell: number): number {
    return this.#shared.take(this.#slot, cell);
  }

  others(cell: number): number {
    return this.#shared.others(this.#slot, cell);
  }

  setOthers(cell: number, amount: number): void {
    this.#shared.setOthers(this.#slot, cell, amount);
  }

  settled(cell: number): number {
    return this.#settled[cell] as number;
  }

  setSettled(cell: number, amount: number): void {
    this.#settled[cell] = amount;
  }
}
