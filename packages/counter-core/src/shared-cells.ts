import type { TimeKept } from "./coarse-clock.ts";
import type { RecordingCells } from "./ledger.ts";
import type { Period, PeriodScheme } from "./period.ts";

const SLOTS = 2;
const FREE = -(2n ** 63n);
const MAX = Number.MAX_SAFE_INTEGER;

/**
 * Cells that several threads add to, in one `SharedArrayBuffer`: two slots, each with the start of its period and 64-bit
 * counts, and an epoch whose lowest bit says which slot is current.
 *
 * A thread adds to the slot that it saw as current. One that is held up between the look and the addition still adds to
 * the period in which it looked: the owner leaves a closed slot in place for a good while before it is used again.
 * Nothing is ever locked, so a worker may be terminated at any instruction.
 */
export class SharedCells implements RecordingCells, TimeKept {
  readonly buffer: SharedArrayBuffer;
  readonly #periods: PeriodScheme;
  readonly #cells: number;
  readonly #epoch: Int32Array;
  readonly #starts: BigInt64Array;
  readonly #mine: BigInt64Array;
  readonly #others: BigInt64Array;
  /** The period of the last look at the clock. */
  #period: Period = { key: "", start: 0, end: 0 };

  /** @param buffer What another thread allocated for as many cells; absent: a new one. */
  constructor(periods: PeriodScheme, cells: number, buffer: SharedArrayBuffer | undefined) {
    const words = SLOTS * cells;
    this.buffer = buffer ?? new SharedArrayBuffer(8 * (1 + SLOTS + 2 * words));
    this.#periods = periods;
    this.#cells = cells;
    this.#epoch = new Int32Array(this.buffer, 0, 1);
    this.#starts = new BigInt64Array(this.buffer, 8, SLOTS);
    this.#mine = new BigInt64Array(this.buffer, 8 * (1 + SLOTS), words);
    this.#others = new BigInt64Array(this.buffer, 8 * (1 + SLOTS + words), words);
    if (buffer === undefined) this.#starts.fill(FREE);
  }

  add(cell: number, amount: number): boolean {
    const index = this.#base() + cell;
    if (this.#total(index) + amount > MAX) return false;
    Atomics.add(this.#mine, index, BigInt(amount));
    return true;
  }

  addAll(row: number, amounts: Float64Array): boolean {
    const index = this.#base() + row;
    for (let i = 0; i < amounts.length; i++) {
      if (this.#total(index + i) + (amounts[i] as number) > MAX) return false;
    }
    for (let i = 0; i < amounts.length; i++) {
      const amount = amounts[i] as number;
      if (amount > 0) Atomics.add(this.#mine, index + i, BigInt(amount));
    }
    return true;
  }

  readTotal(row: number, size: number, out: Float64Array, at = 0): void {
    const index = this.#base() + row;
    for (let i = 0; i < size; i++) out[at + i] = this.#total(index + i);
  }

  /** Turns to the period of `nowMs`, unless another thread has, or the slot that it needs is not free yet. */
  advance(nowMs: number): number {
    if (nowMs < this.#period.start || nowMs >= this.#period.end) this.#period = this.#periods.at(nowMs);
    const { start, end } = this.#period;
    const epoch = Atomics.load(this.#epoch, 0);
    const current = this.startOf(epoch & 1);
    if (current === undefined && this.startOf(1 - (epoch & 1)) === start) {
      // A thread with an old look at the clock turned to a slot that was just freed: back to the one that has the period.
      Atomics.compareExchange(this.#epoch, 0, epoch, epoch + 1);
    } else if (current === undefined) {
      Atomics.compareExchange(this.#starts, epoch & 1, FREE, BigInt(start));
    } else if (current !== start) {
      const next = BigInt(start);
      const held = Atomics.compareExchange(this.#starts, 1 - (epoch & 1), FREE, next);
      // Held by the same period: the clock stepped back into it, or another thread is just turning.
      if (held === FREE || held === next) Atomics.compareExchange(this.#epoch, 0, epoch, epoch + 1);
    }
    return end - nowMs;
  }

  get currentSlot(): number {
    return Atomics.load(this.#epoch, 0) & 1;
  }

  /** Start of a slot's period, in milliseconds since the Unix epoch; undefined when the slot is free. */
  startOf(slot: number): number | undefined {
    const start = Atomics.load(this.#starts, slot);
    return start === FREE ? undefined : Number(start);
  }

  /** Gives up a closed slot whose cells are all zero. */
  free(slot: number): void {
    Atomics.store(this.#starts, slot, FREE);
  }

  mine(slot: number, cell: number): number {
    return Number(Atomics.load(this.#mine, slot * this.#cells + cell));
  }

  addTo(slot: number, cell: number, amount: number): void {
    Atomics.add(this.#mine, slot * this.#cells + cell, BigInt(amount));
  }

  take(slot: number, cell: number): number {
    return Number(Atomics.exchange(this.#mine, slot * this.#cells + cell, 0n));
  }

  others(slot: number, cell: number): number {
    return Number(Atomics.load(this.#others, slot * this.#cells + cell));
  }

  setOthers(slot: number, cell: number, amount: number): void {
    Atomics.store(this.#others, slot * this.#cells + cell, BigInt(amount));
  }

  #base(): number {
    return (Atomics.load(this.#epoch, 0) & 1) * this.#cells;
  }

  #total(index: number): number {
    return Number(Atomics.load(this.#mine, index) + Atomics.load(this.#others, index));
  }
}
