import type { Period, PeriodScheme } from "../model/period.ts";
import type { RecordingCells } from "./cells.ts";
import { type Lanes, SLOT } from "./lanes.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** One thread's counts beside those of others. Only this thread writes them, so reading and adding need not be one step. */
export class Lane implements RecordingCells {
  readonly #lanes: Lanes;
  readonly #lane: number;
  readonly #periods: PeriodScheme;
  readonly #size: number;
  #slot: number;
  #start: number;
  #turns = -1;
  /** The period of the last look at the clock. */
  #period: Period = { key: "", start: 0, end: 0 };

  constructor(lanes: Lanes, lane: number, periods: PeriodScheme, size: number) {
    this.#lanes = lanes;
    this.#lane = lane;
    this.#periods = periods;
    this.#size = size;
    this.#slot = lanes.openSlot(lane);
    this.#start = lanes.start;
    this.#open(this.#slot, this.#start);
  }

  add(row: number, place: number, amount: number): boolean {
    this.#follow();
    const lanes = this.#lanes;
    const cell = row * this.#size + place;
    if (lanes.total(this.#start, cell) + amount > MAX) return false;
    lanes.setCount(this.#slot, cell, lanes.count(this.#slot, cell) + amount);
    return true;
  }

  addAll(row: number, amounts: Float64Array): boolean {
    this.#follow();
    const lanes = this.#lanes;
    const size = this.#size;
    const start = row * size;
    for (let i = 0; i < size; i++) {
      // Only a count near the largest number needs a look at what others counted.
      const amount = amounts[i] as number;
      if (
        lanes.count(this.#slot, start + i) + amount > MAX / 1_024 &&
        lanes.total(this.#start, start + i) + amount > MAX
      ) {
        return false;
      }
    }
    for (let i = 0; i < size; i++) {
      const cell = start + i;
      lanes.setCount(this.#slot, cell, lanes.count(this.#slot, cell) + (amounts[i] as number));
    }
    return true;
  }

  readTotal(row: number, out: Float64Array): void {
    this.#follow();
    for (let i = 0; i < this.#size; i++) out[i] = this.#lanes.total(this.#start, row * this.#size + i);
  }

  /** Takes over the time; returns the milliseconds until it wants to know again. */
  advance(nowMs: number): number {
    if (nowMs < this.#period.start || nowMs >= this.#period.end) this.#period = this.#periods.at(nowMs);
    this.#lanes.turnTo(this.#period);
    return this.#period.end - nowMs;
  }

  /** Counts in the period that some thread has turned to. */
  #follow(): void {
    const { turns } = this.#lanes;
    if (turns === this.#turns) return;
    const { start } = this.#lanes;
    // Until the owner has emptied the slot that is needed, it goes on where it is, and looks again.
    if (start === this.#start || this.#turn(start)) this.#turns = turns;
  }

  #turn(start: number): boolean {
    const lanes = this.#lanes;
    const next = lanes.otherSlot(this.#slot);
    // The clock stepped back to it: its counts go on, unless the owner is just taking them out.
    const isBack = lanes.startOf(next) === start && lanes.moveState(next, SLOT.CLOSED, SLOT.OPEN);
    if (!isBack) {
      if (lanes.state(next) !== SLOT.FREE) return false;
      this.#open(next, start);
    }
    const last = this.#slot;
    this.#slot = next;
    this.#start = start;
    lanes.setOpenSlot(this.#lane, next);
    lanes.setState(last, SLOT.CLOSED);
    return true;
  }

  #open(slot: number, start: number): void {
    for (let cell = 0; cell < this.#lanes.cells; cell++) this.#lanes.setCount(slot, cell, 0);
    this.#lanes.setStartOf(slot, start);
    this.#lanes.setState(slot, SLOT.OPEN);
  }
}
