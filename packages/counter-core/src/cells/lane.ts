import type { Period, PeriodScheme } from "../model/period.ts";
import type { HoldingCells, HoldingPeriods, RecordingCells } from "./cells.ts";
import { type Lanes, markOf, SLOT } from "./lanes.ts";
import type { Room } from "./room.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** What a thread holds in one period. */
interface LaneCells extends HoldingCells {
  /** By cell. */
  readonly held: Float64Array;
}

/** What was counted in a period in which this thread has no slot now. */
interface Late {
  readonly start: number;
  readonly cell: number;
  readonly amount: number;
}

/** One thread's counts beside those of others. Only this thread writes them, so reading and adding need not be one step. */
export class Lane implements RecordingCells, HoldingPeriods {
  readonly #lanes: Lanes;
  readonly #room: Room;
  readonly #periods: PeriodScheme;
  readonly #size: number;
  #slot: number;
  #start: number;
  #mark: number;
  /** The period of the last look at the clock. */
  #period: Period = { key: "", start: 0, end: 0 };
  /** By start of their period: those in which anything is held. */
  readonly #cells = new Map<number, LaneCells>();
  #late: readonly Late[] = [];

  constructor(lanes: Lanes, room: Room, slot: number, periods: PeriodScheme, size: number) {
    this.#lanes = lanes;
    this.#room = room;
    this.#periods = periods;
    this.#size = size;
    this.#slot = slot;
    this.#start = lanes.start;
    this.#mark = markOf(this.#start);
    this.#open(slot, this.#start);
  }

  add(row: number, place: number, amount: number): boolean {
    this.#follow();
    const cell = row * this.#size + place;
    if (this.#isTooMuch(cell, amount)) return false;
    // fault: a thread records without asking, and leaves others as much as before
    this.#room.force(this.#slot, this.#mark, cell, amount);
    this.#count(cell, amount);
    return true;
  }

  addAll(row: number, amounts: Float64Array): boolean {
    this.#follow();
    const start = row * this.#size;
    if (!this.#areCountable(start, amounts)) return false;
    for (let i = 0; i < this.#size; i++) {
      this.#room.force(this.#slot, this.#mark, start + i, amounts[i] as number);
      this.#count(start + i, amounts[i] as number);
    }
    return true;
  }

  /** `addAll` where no total passes its limit; otherwise returns false and changes nothing. */
  tryAddAll(row: number, amounts: Float64Array): boolean {
    this.#follow();
    const start = row * this.#size;
    if (!this.#areCountable(start, amounts) || !this.#takeAll(start, amounts)) return false;
    for (let i = 0; i < this.#size; i++) this.#count(start + i, amounts[i] as number);
    return true;
  }

  /** Whether `tryAddAll` would add. */
  fits(row: number, amounts: Float64Array): boolean {
    this.#follow();
    const start = row * this.#size;
    if (!this.#areCountable(start, amounts)) return false;
    for (let i = 0; i < this.#size; i++) {
      if (this.#room.available(this.#mark, start + i) < (amounts[i] as number)) return false;
    }
    return true;
  }

  readTotal(row: number, out: Float64Array): void {
    this.#follow();
    this.#lanes.readTotals(this.#mark, row * this.#size, this.#size, out);
  }

  /** Takes over the time; returns the milliseconds until it wants to know again. */
  advance(nowMs: number): number {
    if (nowMs < this.#period.start || nowMs >= this.#period.end) this.#period = this.#periods.at(nowMs);
    this.#lanes.turnTo(this.#period);
    this.#countLate();
    return this.#period.end - nowMs;
  }

  current(): HoldingCells {
    this.#follow();
    let cells = this.#cells.get(this.#start);
    if (cells === undefined) {
      cells = { period: this.#periods.at(this.#start), openHolds: 0, held: new Float64Array(this.#lanes.cells) };
      this.#cells.set(this.#start, cells);
    }
    return cells;
  }

  /** Of a period that is over nothing more can be held: its room is gone. */
  tryKeepFree(cells: LaneCells, row: number, amounts: Float64Array): boolean {
    const start = row * this.#size;
    if (cells.period.start !== this.#start) return false;
    if (!this.#areCountable(start, amounts) || !this.#takeAll(start, amounts)) return false;
    for (let i = 0; i < this.#size; i++) this.#hold(cells, start + i, amounts[i] as number);
    return true;
  }

  free(cells: LaneCells, row: number, amounts: Float64Array): void {
    for (let i = 0; i < this.#size; i++) {
      const cell = row * this.#size + i;
      this.#hold(cells, cell, -(amounts[i] as number));
      if (cells.period.start === this.#start) this.#room.give(this.#slot, this.#mark, cell, amounts[i] as number);
    }
  }

  countHeld(cells: LaneCells, row: number, amounts: Float64Array, kept: Float64Array): void {
    for (let i = 0; i < this.#size; i++) {
      this.#countCell(cells, row * this.#size + i, amounts[i] as number, kept[i] as number);
    }
  }

  tooLarge(cells: LaneCells, row: number, amounts: Float64Array): number {
    if (cells.period.start !== this.#start) return -1;
    return amounts.findIndex((amount, place) => this.#isTooMuch(row * this.#size + place, amount));
  }

  #countCell(cells: LaneCells, cell: number, amount: number, kept: number): void {
    const { start } = cells.period;
    if (amount === 0 && kept === 0) return;
    this.#hold(cells, cell, -kept);
    // fault: what a thread held is counted in the month in which it ends
    if (start !== this.#start) {
      this.#late = [...this.#late, { start, cell, amount }];
      this.#countLate();
      return;
    }
    this.#room.settle(this.#slot, this.#mark, cell, kept, amount);
    if (amount > kept) this.#room.noteExcess(cell, amount - kept);
    this.#count(cell, amount);
  }

  #count(cell: number, amount: number): void {
    const lanes = this.#lanes;
    lanes.setCount(this.#slot, cell, lanes.count(this.#slot, cell) + amount);
  }

  #hold({ period, held }: LaneCells, cell: number, change: number): void {
    if (change === 0) return;
    held[cell] = (held[cell] as number) + change;
    if (period.start === this.#start) this.#room.setHeld(this.#slot, cell, held[cell] as number);
  }

  /** Takes all of it or, returning false, nothing. */
  #takeAll(start: number, amounts: Float64Array): boolean {
    for (let i = 0; i < this.#size; i++) {
      if (this.#room.take(this.#slot, this.#mark, start + i, amounts[i] as number)) continue;
      for (let j = 0; j < i; j++) this.#room.give(this.#slot, this.#mark, start + j, amounts[j] as number);
      return false;
    }
    return true;
  }

  #areCountable(start: number, amounts: Float64Array): boolean {
    for (let i = 0; i < this.#size; i++) if (this.#isTooMuch(start + i, amounts[i] as number)) return false;
    return true;
  }

  /** Whether the total would pass 2^53-1. Only what is near it needs a look at what every other thread counted. */
  #isTooMuch(cell: number, amount: number): boolean {
    const lanes = this.#lanes;
    const own = lanes.count(this.#slot, cell) + amount;
    const isLarge = lanes.rest(cell) + 2 * lanes.threads * own > MAX;
    if (!isLarge && !lanes.isAnyLarge) return false;
    if (isLarge) lanes.noteLarge();
    const total = new Float64Array(1);
    lanes.readTotals(this.#mark, cell, 1, total);
    return (total[0] as number) + amount > MAX;
  }

  /** Counts in the period that some thread has turned to. */
  #follow(): void {
    if (this.#lanes.mark === this.#mark) return;
    const { start } = this.#lanes;
    // Until the owner has emptied the slot that is needed, it goes on where it is, and looks again.
    if (start !== this.#start) this.#turn(start);
  }

  #turn(start: number): void {
    const lanes = this.#lanes;
    const next = lanes.otherSlot(this.#slot);
    if (!this.#reopen(next, start)) return;
    const last = this.#slot;
    this.#slot = next;
    this.#start = start;
    this.#mark = markOf(start);
    this.#room.clear(next);
    lanes.setState(last, SLOT.CLOSED);
    for (const [of, { openHolds }] of this.#cells) if (openHolds === 0 && of !== start) this.#cells.delete(of);
    const held = this.#cells.get(start)?.held;
    for (let cell = 0; cell < lanes.cells; cell++) this.#room.setHeld(next, cell, held?.[cell] ?? 0);
  }

  /** Returns false while the owner has the slot, or has not taken out yet what it has of another period. */
  #reopen(slot: number, start: number): boolean {
    const lanes = this.#lanes;
    // The clock stepped back to it: its counts go on, unless the owner is just taking them out.
    if (lanes.startOf(slot) === start && lanes.moveState(slot, SLOT.CLOSED, SLOT.OPEN)) return true;
    if (lanes.state(slot) !== SLOT.FREE) return false;
    this.#open(slot, start);
    return true;
  }

  #open(slot: number, start: number): void {
    for (let cell = 0; cell < this.#lanes.cells; cell++) this.#lanes.setCount(slot, cell, 0);
    this.#lanes.setStartOf(slot, start);
    this.#lanes.setState(slot, SLOT.OPEN);
  }

  /** What was held in a period that is over is counted there, as soon as the slot that it needs is free. */
  #countLate(): void {
    if (this.#late.length === 0) return;
    const lanes = this.#lanes;
    const slot = lanes.otherSlot(this.#slot);
    this.#late = this.#late.filter(({ start, cell, amount }) => {
      if (start === this.#start) this.#count(cell, amount);
      else if (!this.#reopen(slot, start)) return true;
      else {
        lanes.setCount(slot, cell, lanes.count(slot, cell) + amount);
        lanes.setState(slot, SLOT.CLOSED);
      }
      return false;
    });
  }
}
