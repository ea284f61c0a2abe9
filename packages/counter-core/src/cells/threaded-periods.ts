import type { Period, PeriodScheme } from "../model/period.ts";
import { UNLIMITED } from "../request/caps.ts";
import type { PeriodCells, Periods } from "./cells.ts";
import type { HeapPeriods } from "./heap-periods.ts";
import { type Lanes, markOf, SLOT } from "./lanes.ts";
import type { Room } from "./room.ts";

/**
 * The owner's side of counts in lanes: whenever somebody looks, what other threads have counted since the last look is added to
 * the owner's own cells. So hops and closed periods know nothing of threads. What may be used of a limit the owner takes from the
 * room that all threads share, as each of them does.
 */
export class ThreadedPeriods implements Periods {
  readonly #heap: HeapPeriods;
  readonly #lanes: Lanes;
  readonly #room: Room;
  readonly #periods: PeriodScheme;
  readonly #size: number;
  /** By slot and cell: what of it was added already. */
  readonly #added: readonly Float64Array[];
  /** By cell: the total of the current period for which room was taken. */
  readonly #taken: Float64Array;
  #mark: number;

  constructor(heap: HeapPeriods, lanes: Lanes, room: Room, periods: PeriodScheme, size: number) {
    this.#heap = heap;
    this.#lanes = lanes;
    this.#room = room;
    this.#periods = periods;
    this.#size = size;
    this.#added = Array.from({ length: 2 * lanes.threads }, () => new Float64Array(lanes.cells));
    this.#taken = new Float64Array(lanes.cells);
    const { period } = heap.current();
    this.#mark = markOf(period.start);
    lanes.turnTo(period);
    this.#begin();
    this.publish();
  }

  add(row: number, place: number, amount: number): boolean {
    this.look(row);
    if (!this.#heap.add(row, place, amount)) return false;
    const cell = row * this.#size + place;
    this.#room.force(this.#room.ownerSlot, this.#mark, cell, amount);
    this.#tell(cell, amount);
    return true;
  }

  addAll(row: number, amounts: Float64Array): boolean {
    this.look(row);
    if (!this.#heap.addAll(row, amounts)) return false;
    for (let i = 0; i < this.#size; i++) {
      const amount = amounts[i] as number;
      this.#room.force(this.#room.ownerSlot, this.#mark, row * this.#size + i, amount);
      this.#tell(row * this.#size + i, amount);
    }
    return true;
  }

  tryAddAll(row: number, amounts: Float64Array): boolean {
    this.look(row);
    if (!this.#takeAll(row, amounts)) return false;
    if (!this.#heap.addAll(row, amounts)) return this.#giveAll(row, amounts, this.#size);
    for (let i = 0; i < this.#size; i++) this.#tell(row * this.#size + i, amounts[i] as number);
    return true;
  }

  /** Of the same period, though another thread may have turned to the next one. */
  takeBack(row: number, amounts: Float64Array): void {
    this.#heap.takeBack(row, amounts);
    for (let i = 0; i < this.#size; i++) this.#tell(row * this.#size + i, -(amounts[i] as number));
    this.#giveAll(row, amounts, this.#size);
  }

  fits(row: number, amounts: Float64Array): boolean {
    this.look(row);
    for (let i = 0; i < this.#size; i++) {
      if (this.#room.available(this.#mark, row * this.#size + i) < (amounts[i] as number)) return false;
    }
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
    this.look(Math.floor(cell / this.#size));
    const before = this.#heap.limit(cell);
    this.#heap.setLimit(cell, limit);
    const now = this.#heap.limit(cell);
    if (now === before) return;
    if (now === UNLIMITED) this.#room.unlimit(cell);
    else if (before === UNLIMITED) this.#room.limit(cell, this.#leftOf(cell));
    else this.#room.change(this.#mark, cell, now - before);
  }

  setCredit(cells: PeriodCells, cell: number, credit: number): void {
    this.look(Math.floor(cell / this.#size));
    const before = this.#heap.limit(cell);
    this.#heap.setCredit(cells, cell, credit);
    // fault: threads hear nothing of what was granted
    this.#room.change(this.#mark, cell, this.#heap.limit(cell) - before);
  }

  tryKeepFree(cells: PeriodCells, row: number, amounts: Float64Array): boolean {
    this.look(row);
    // Of a period that is over there is no room any more, and what other threads hold of it is not known.
    if (cells !== this.#heap.current()) return this.#lanes.slots === 0 && this.#heap.tryKeepFree(cells, row, amounts);
    if (!this.#takeAll(row, amounts)) return false;
    return this.#heap.tryKeepFree(cells, row, amounts) || this.#giveAll(row, amounts, this.#size);
  }

  free(cells: PeriodCells, row: number, amounts: Float64Array): void {
    this.#heap.free(cells, row, amounts);
    if (cells === this.#heap.current()) this.#giveAll(row, amounts, this.#size);
  }

  countHeld(cells: PeriodCells, row: number, amounts: Float64Array, kept: Float64Array): void {
    this.look(row);
    this.#heap.countHeld(cells, row, amounts, kept);
    if (cells !== this.#heap.current()) return;
    for (let i = 0; i < this.#size; i++) {
      const cell = row * this.#size + i;
      this.#room.settle(this.#room.ownerSlot, this.#mark, cell, kept[i] as number, amounts[i] as number);
      this.#tell(cell, amounts[i] as number);
    }
  }

  tooLarge(cells: PeriodCells, row: number, amounts: Float64Array): number {
    this.look(row);
    return this.#heap.tooLarge(cells, row, amounts);
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

  /** What other threads hold of a cell of the current period. */
  heldInLanes(cell: number): number {
    this.#follow();
    const lanes = this.#lanes;
    let sum = 0;
    for (let slot = lanes.slots - 1; slot >= 0; slot--) {
      if (lanes.has(slot, this.#mark)) sum += this.#room.held(slot, cell);
    }
    return sum;
  }

  /** Notes what other threads settled of a row above their holds. */
  lookAtExcess(row: number): void {
    this.#follow();
    const cells = this.#heap.current();
    for (let place = 0; place < this.#size; place++) {
      this.#heap.noteExcess(cells, row, place, this.#room.takeExcess(row * this.#size + place));
    }
  }

  /** Tells the other threads what is used and not theirs, and takes the room that others turn out to have used. */
  publish(): void {
    this.#follow();
    const cells = this.#heap.current();
    const lanes = this.#lanes;
    const added: Float64Array[] = [];
    for (let slot = 0; slot < lanes.slots; slot++) {
      if (lanes.has(slot, this.#mark)) added.push(this.#added[slot] as Float64Array);
    }
    lanes.tellOf(this.#mark);
    for (let cell = 0; cell < lanes.cells; cell++) {
      const inSlots = added.reduce((sum, amounts) => sum + (amounts[cell] as number), 0);
      const total = cells.mine(cell) + cells.others(cell);
      lanes.setRest(cell, total - inSlots);
      this.#room.change(this.#mark, cell, (this.#taken[cell] as number) - total);
      this.#taken[cell] = total;
    }
  }

  /** Tells the other threads of a count of one's own, for which room was taken. */
  #tell(cell: number, amount: number): void {
    this.#taken[cell] = (this.#taken[cell] as number) + amount;
    if (this.#lanes.isTold(this.#mark)) this.#lanes.setRest(cell, this.#lanes.rest(cell) + amount);
    else this.publish();
  }

  /** Takes room for all of it or, returning false, for nothing. */
  #takeAll(row: number, amounts: Float64Array): boolean {
    const { ownerSlot } = this.#room;
    for (let i = 0; i < this.#size; i++) {
      const isTaken = this.#room.take(ownerSlot, this.#mark, row * this.#size + i, amounts[i] as number);
      if (!isTaken) return this.#giveAll(row, amounts, i);
    }
    return true;
  }

  #giveAll(row: number, amounts: Float64Array, places: number): false {
    const { ownerSlot } = this.#room;
    for (let i = 0; i < places; i++) {
      this.#room.give(ownerSlot, this.#mark, row * this.#size + i, amounts[i] as number);
    }
    return false;
  }

  /** The current period is another one: what may be used of it is what nobody has counted or holds. */
  #begin(): void {
    const cells = this.#heap.current();
    for (let slot = 0; slot < this.#lanes.slots; slot++) {
      if (!this.#lanes.has(slot, this.#mark)) continue;
      for (let row = 0; row * this.#size < this.#lanes.cells; row++) this.#addRow(slot, row, cells.period);
    }
    this.#room.begin(this.#mark, (cell) => {
      this.#taken[cell] = cells.mine(cell) + cells.others(cell);
      return this.#leftOf(cell);
    });
  }

  #leftOf(cell: number): number {
    const cells = this.#heap.current();
    const limit = this.#heap.limit(cell);
    if (limit === UNLIMITED) return 0;
    return limit - cells.mine(cell) - cells.others(cell) - cells.held(cell) - this.heldInLanes(cell);
  }

  /** Turns the owner's cells to the period that some thread has turned to. */
  #follow(): void {
    if (this.#lanes.mark === this.#mark) return;
    const { start } = this.#lanes;
    this.#mark = markOf(start);
    this.#heap.advance(start);
    this.#begin();
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
    const isCurrent = period.start === this.#heap.current().period.start;
    for (let place = 0; place < this.#size; place++) {
      const cell = row * this.#size + place;
      const count = this.#lanes.count(slot, cell);
      const grown = count - (added[cell] as number);
      if (grown <= 0) continue;
      added[cell] = count;
      this.#heap.addIn(period, row, place, grown);
      if (isCurrent) this.#taken[cell] = (this.#taken[cell] as number) + grown;
    }
  }
}
