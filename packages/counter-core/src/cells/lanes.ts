import type { Period } from "../model/period.ts";

/** Two for each lane: that of the current period, and that of the one before until its counts were taken out. */
const SLOTS = 2;
/** Of no period: its mark would be in 1969. */
export const NO_MARK: number = -(2 ** 31);
/** Words of `#control` before those of the slots. */
const [CLAIMED, CURRENT, TOLD, LARGE, FIRST] = [0, 1, 2, 3, 4];

/** What a slot is, and who may change that: only its thread opens and closes it, only the owner takes a closed one out. */
export const SLOT = { FREE: 0, OPEN: 1, CLOSED: 2, TAKEN: 3 } as const;

/**
 * Counts of several threads in one `SharedArrayBuffer`. Each thread has a lane, and nobody else ever writes its counts: so
 * nothing is contended, nothing is locked, and a worker may be terminated at any instruction.
 *
 * Which period a slot is of is told by a mark: 32 bits of its start, which are enough to tell apart any two periods that are
 * in use at once, and cheap to look at in every call. The start itself says which period that is.
 *
 * Counts are plain doubles. ECMAScript lets a double tear between threads; V8 does not on x64 and arm64, where an aligned one is
 * stored and loaded at once. Never copy them in bulk, which may go by bytes.
 */
export class Lanes {
  readonly buffer: SharedArrayBuffer;
  readonly threads: number;
  readonly cells: number;
  /**
   * [lanes that are claimed, mark that counts, mark that `rest` is of, whether any count is large], then for each slot what it is,
   * then its mark.
   */
  readonly #control: Int32Array;
  /** [start of the period that counts], then for each slot that of its period. */
  readonly #starts: BigInt64Array;
  readonly #counts: Float64Array;
  /** What is used and in no slot: the owner's own counts, those of others, and what was taken out. Written by the owner. */
  readonly #rest: Float64Array;

  /** @param buffer - What another thread allocated for as many threads and cells; absent: a new one. */
  constructor(threads: number, cells: number, buffer?: SharedArrayBuffer) {
    const slots = threads * SLOTS;
    const control = 8 * Math.ceil((FIRST + 2 * slots) / 2);
    const starts = 8 * (1 + slots);
    this.buffer = buffer ?? new SharedArrayBuffer(control + starts + 8 * cells * (slots + 1));
    this.threads = threads;
    this.cells = cells;
    this.#control = new Int32Array(this.buffer, 0, FIRST + 2 * slots);
    this.#starts = new BigInt64Array(this.buffer, control, 1 + slots);
    this.#counts = new Float64Array(this.buffer, control + starts, cells * slots);
    this.#rest = new Float64Array(this.buffer, control + starts + 8 * cells * slots, cells);
  }

  /** A lane that no other thread has, by its first slot; undefined where there is none left. */
  claim(): number | undefined {
    const lane = Atomics.add(this.#control, CLAIMED, 1);
    return lane < this.threads ? lane * SLOTS : undefined;
  }

  /** One more than the last slot of a lane that is claimed. */
  get slots(): number {
    return SLOTS * Math.min(this.threads, Atomics.load(this.#control, CLAIMED));
  }

  /** The other one of the same lane. */
  otherSlot(slot: number): number {
    return slot ^ 1;
  }

  /** Tells whether the period that counts is still the same. */
  get mark(): number {
    return Atomics.load(this.#control, CURRENT);
  }

  /** Start of the period that counts, in milliseconds since the Unix epoch. */
  get start(): number {
    return Number(Atomics.load(this.#starts, 0));
  }

  /**
   * This period counts from now on, for all threads. A thread that ends between the two writes leaves a mark that whoever turns
   * to the same period next puts right.
   */
  turnTo({ start }: Period): void {
    Atomics.store(this.#starts, 0, BigInt(start));
    Atomics.store(this.#control, CURRENT, markOf(start));
  }

  state(slot: number): number {
    return Atomics.load(this.#control, FIRST + slot);
  }

  setState(slot: number, state: number): void {
    Atomics.store(this.#control, FIRST + slot, state);
  }

  /** Changes what a slot is, unless somebody else has. */
  moveState(slot: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#control, FIRST + slot, from, to) === from;
  }

  startOf(slot: number): number {
    return Number(Atomics.load(this.#starts, 1 + slot));
  }

  setStartOf(slot: number, start: number): void {
    Atomics.store(this.#starts, 1 + slot, BigInt(start));
    Atomics.store(this.#control, FIRST + SLOTS * this.threads + slot, markOf(start));
  }

  /** Whether a slot has counts of a period that were not taken out. */
  has(slot: number, mark: number): boolean {
    const state = this.state(slot);
    if (state !== SLOT.OPEN && state !== SLOT.CLOSED) return false;
    return Atomics.load(this.#control, FIRST + SLOTS * this.threads + slot) === mark;
  }

  /** Whether any count came so near to 2^53 that a sum of as many might pass it. */
  get isAnyLarge(): boolean {
    return Atomics.load(this.#control, LARGE) !== 0;
  }

  noteLarge(): void {
    Atomics.store(this.#control, LARGE, 1);
  }

  count(slot: number, cell: number): number {
    return this.#counts[slot * this.cells + cell] as number;
  }

  setCount(slot: number, cell: number, amount: number): void {
    this.#counts[slot * this.cells + cell] = amount;
  }

  /** What is used of `size` cells from `start` on in a period, by all threads and everybody else. */
  readTotals(mark: number, start: number, size: number, out: Float64Array): void {
    const isTold = this.isTold(mark);
    for (let i = 0; i < size; i++) out[i] = isTold ? this.rest(start + i) : 0;
    for (let slot = this.slots - 1; slot >= 0; slot--) {
      if (!this.has(slot, mark)) continue;
      for (let i = 0; i < size; i++) out[i] = (out[i] as number) + this.count(slot, start + i);
    }
  }

  /** Whether what was told last is of this period. */
  isTold(mark: number): boolean {
    return Atomics.load(this.#control, TOLD) === mark;
  }

  /** What was told last of a cell, of whichever period: what is used and in no slot. */
  rest(cell: number): number {
    return this.#rest[cell] as number;
  }

  /** Tells all threads of a cell. */
  setRest(cell: number, rest: number): void {
    this.#rest[cell] = rest;
  }

  /** What is told from now on is of this period; whatever was told of another one is forgotten. */
  tellOf(mark: number): void {
    if (this.isTold(mark)) return;
    Atomics.store(this.#control, TOLD, NO_MARK);
    for (let cell = 0; cell < this.cells; cell++) this.#rest[cell] = 0;
    Atomics.store(this.#control, TOLD, mark);
  }
}

/** The lowest 32 bits of a period's start. */
export function markOf(start: number): number {
  return (start % 2 ** 32) | 0;
}
