import type { Period, PeriodScheme } from "../model/period.ts";
import type { PeriodCells, Periods } from "./cells.ts";
import type { HeapCells } from "./heap-cells.ts";
import type { HeapPeriods } from "./heap-periods.ts";
import { type Lanes, markOf, SLOT } from "./lanes.ts";

/**
 * The owner's side of counts in lanes: whenever somebody looks, what other threads have counted since the last look is added to
 * the owner's own cells. So hops, limits and closed periods know nothing of threads.
 */
export class ThreadedPeriods implements Periods {
  readonly #heap: HeapPeriods;
  readonly #lanes: Lanes;
  readonly #periods: PeriodScheme;
  readonly #size: number;
  /** By slot and cell: what of it was added already. */
  readonly #added: readonly Float64Array[];
  #mark: number;

  constructor(heap: HeapPeriods, lanes: Lanes, periods: PeriodScheme, size: number) {
    this.#heap = heap;
    this.#lanes = lanes;
    this.#periods = periods;
    this.#size = size;
    this.#added = Array.from({ length: 2 * lanes.threads }, () => new Float64Array(lanes.cells));
    const { period } = heap.current();
    this.#mark = markOf(period.start);
    lanes.turnTo(period);
    this.publish();
  }

  add(row: number, place: number, amount: number): boolean {
    this.look(row);
    if (!this.#heap.add(row, place, amount)) return false;
    this.#tell(row * this.#size + place, amount);
    return true;
  }

  addAll(row: number, amounts: Float64Array): boolean {
    this.look(row);
    return this.#heap.addAll(row, amounts) && this.#tellAll(row, amounts);
  }

  tryAddAll(row: number, amounts: Float64Array): boolean {
    this.look(row);
    return this.#heap.tryAddAll(row, amounts) && this.#tellAll(row, amounts);
  }

  fits(row: number, amounts: Float64Array): boolean {
    this.look(row);
    return this.#heap.fits(row, amounts);
  }

  readTotal(row: number, out: Float64Array): void {
    this.look(row);
    this.#heap.readTotal(row, out);
  }

  limit(cell: number): number {
    return this.#heap.limit(cell);
  }

  setLimit(cell: number, limit: number): void {
    this.#heap.setLimit(cell, limit);
  }

  fitsIn(cells: HeapCells, row: number, amounts: Float64Array): boolean {
    this.look(row);
    return this.#heap.fitsIn(cells, row, amounts);
  }

  addIn(period: Period, row: number, place: number, amount: number): void {
    this.look(row);
    this.#heap.addIn(period, row, place, amount);
    this.publish();
  }

  keepFree(cells: HeapCells, row: number, place: number, change: number): void {
    this.#heap.keepFree(cells, row, place, change);
  }

  noteExcess(cells: HeapCells, row: number, place: number, excess: number): void {
    this.#heap.noteExcess(cells, row, place, excess);
  }

  isAnyAt(ratio: number): boolean {
    this.#lookAtAll();
    return this.#heap.isAnyAt(ratio);
  }

  use(row: number): void {
    this.#heap.use(row);
  }

  usedAt(row: number): number {
    return this.#heap.usedAt(row);
  }

  advance(nowMs: number): number {
    const untilNext = this.#heap.advance(nowMs);
    this.#lanes.turnTo(this.#heap.current().period);
    this.#lookAtAll();
    this.publish();
    return untilNext;
  }

  current(): PeriodCells {
    this.#follow();
    return this.#heap.current();
  }

  all(): readonly PeriodCells[] {
    this.#lookAtAll();
    return this.#heap.all();
  }

  reserve(rows: number): void {
    if (rows * this.#size > this.#lanes.cells) {
      throw new RangeError(
        "a counter for threads has the backends that it was made with: name them all in the constructor",
      );
    }
  }

  newGeneration(): number {
    return this.#heap.newGeneration();
  }

  /** Adds what other threads counted of one row. */
  look(row: number): void {
    this.#follow();
    const { period } = this.#heap.current();
    const lanes = this.#lanes;
    for (let slot = lanes.slots - 1; slot >= 0; slot--) {
      if (lanes.has(slot, this.#mark)) this.#addRow(slot, row, period);
    }
  }

  /** Tells the other threads what is used and not theirs. */
  publish(): void {
    const cells = this.#heap.current();
    const lanes = this.#lanes;
    const added: Float64Array[] = [];
    for (let slot = 0; slot < lanes.slots; slot++) {
      if (lanes.has(slot, this.#mark)) added.push(this.#added[slot] as Float64Array);
    }
    lanes.tellOf(this.#mark);
    for (let cell = 0; cell < lanes.cells; cell++) {
      const inSlots = added.reduce((sum, amounts) => sum + (amounts[cell] as number), 0);
      lanes.setRest(cell, cells.mine(cell) + cells.others(cell) - inSlots);
    }
  }

  /** Tells the other threads of a count of one's own. */
  #tell(cell: number, amount: number): void {
    if (this.#lanes.isTold(this.#mark)) this.#lanes.setRest(cell, this.#lanes.rest(cell) + amount);
    else this.publish();
  }

  #tellAll(row: number, amounts: Float64Array): true {
    if (!this.#lanes.isTold(this.#mark)) this.publish();
    else for (let i = 0; i < this.#size; i++) this.#tell(row * this.#size + i, amounts[i] as number);
    return true;
  }

  /** Turns the owner's cells to the period that some thread has turned to. */
  #follow(): void {
    if (this.#lanes.mark === this.#mark) return;
    const { start } = this.#lanes;
    this.#mark = markOf(start);
    this.#heap.advance(start);
  }

  /** Adds what other threads counted, and empties the slots that they have closed. */
  #lookAtAll(): void {
    this.#follow();
    const lanes = this.#lanes;
    let isAnyTaken = false;
    for (let slot = 0; slot < lanes.slots; slot++) {
      const isTaken = lanes.moveState(slot, SLOT.CLOSED, SLOT.TAKEN);
      if (!isTaken && lanes.state(slot) !== SLOT.OPEN) continue;
      const period = this.#periods.at(lanes.startOf(slot));
      for (let row = 0; row * this.#size < lanes.cells; row++) this.#addRow(slot, row, period);
      if (!isTaken) continue;
      this.#added[slot]?.fill(0);
      lanes.setState(slot, SLOT.FREE);
      isAnyTaken = true;
    }
    if (isAnyTaken) this.publish();
  }

  #addRow(slot: number, row: number, period: Period): void {
    const added = this.#added[slot] as Float64Array;
    for (let place = 0; place < this.#size; place++) {
      const cell = row * this.#size + place;
      const count = this.#lanes.count(slot, cell);
      const grown = count - (added[cell] as number);
      if (grown <= 0) continue;
      added[cell] = count;
      this.#heap.addIn(period, row, place, grown);
    }
  }
}
