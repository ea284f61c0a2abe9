import type { Period, PeriodScheme } from "../model/period.ts";
import type { RecordingCells } from "./cells.ts";
import { type Lanes, markOf, SLOT } from "./lanes.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** One thread's counts beside those of others. Only this thread writes them, so reading and adding need not be one step. */
export class Lane implements RecordingCells {
  readonly #lanes: Lanes;
  readonly #periods: PeriodScheme;
  readonly #size: number;
  #slot: number;
  #start: number;
  #mark: number;
  /** The period of the last look at the clock. */
  #period: Period = { key: "", start: 0, end: 0 };

  constructor(lanes: Lanes, slot: number, periods: PeriodScheme, size: number) {
    this.#lanes = lanes;
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
    this.#lanes.setCount(this.#slot, cell, this.#lanes.count(this.#slot, cell) + amount);
    return true;
  }

  addAll(row: number, amounts: Float64Array): boolean {
    this.#follow();
    const lanes = this.#lanes;
    const size = this.#size;
    const start = row * size;
    for (let i = 0; i < size; i++) if (this.#isTooMuch(start + i, amounts[i] as number)) return false;
    for (let i = 0; i < size; i++) {
      const cell = start + i;
      lanes.setCount(this.#slot, cell, lanes.count(this.#slot, cell) + (amounts[i] as number));
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
    return this.#period.end - nowMs;
  }

  /** Whether the total would pass 2^53-1. Only what is near it needs a look at what every other thread counted. */
  #isTooMuch(cell: number, amount: number): boolean {
    const lanes = this.#lanes;
    const own = lanes.count(this.#slot, cell) + amount;
    if (lanes.rest(cell) + 2 * lanes.threads * own <= MAX) return false;
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
    // The clock stepped back to it: its counts go on, unless the owner is just taking them out.
    const isBack = lanes.startOf(next) === start && lanes.moveState(next, SLOT.CLOSED, SLOT.OPEN);
    if (!isBack) {
      if (lanes.state(next) !== SLOT.FREE) return;
      this.#open(next, start);
    }
    const last = this.#slot;
    this.#slot = next;
    this.#start = start;
    this.#mark = markOf(start);
    lanes.setState(last, SLOT.CLOSED);
  }

  #open(slot: number, start: number): void {
    for (let cell = 0; cell < this.#lanes.cells; cell++) this.#lanes.setCount(slot, cell, 0);
    this.#lanes.setStartOf(slot, start);
    this.#lanes.setState(slot, SLOT.OPEN);
  }
}
