import type { Period } from "../model/period.ts";

/** Two for each lane: that of the current period, and that of the one before until its counts were taken out. */
const SLOTS = 2;
const NO_PERIOD = -1;

/** What a slot is, and who may change that: only its thread opens and closes it, only the owner takes a closed one out. */
export const SLOT = { FREE: 0, OPEN: 1, CLOSED: 2, TAKEN: 3 } as const;

/**
 * Counts of several threads in one `SharedArrayBuffer`. Each thread has a lane, and nobody else ever writes its counts: so
 * nothing is contended, nothing is locked, and a worker may be terminated at any instruction.
 *
 * Counts are plain doubles. ECMAScript lets a double tear between threads; V8 does not on x64 and arm64, where an aligned one is
 * stored and loaded at once. Never copy them in bulk, which may go by bytes.
 */
export class Lanes {
  readonly buffer: SharedArrayBuffer;
  readonly threads: number;
  readonly cells: number;
  /** [lanes that are claimed, turns of the period], then for each lane [its open slot], then for each slot what it is. */
  readonly #control: Int32Array;
  /** [start of the period that counts, start of the period that `rest` is of], then for each slot that of its period. */
  readonly #starts: BigInt64Array;
  readonly #counts: Float64Array;
  /** What is used and in no open slot: the owner's own counts, those of others, and what was taken out. Written by the owner. */
  readonly #rest: Float64Array;

  /** @param buffer What another thread allocated for as many threads and cells; absent: a new one. */
  constructor(threads: number, cells: number, buffer?: SharedArrayBuffer) {
    const slots = threads * SLOTS;
    const control = 8 * Math.ceil((2 + threads + slots) / 2);
    const starts = 8 * (2 + slots);
    this.buffer = buffer ?? new SharedArrayBuffer(control + starts + 8 * cells * (slots + 1));
    this.threads = threads;
    this.cells = cells;
    this.#control = new Int32Array(this.buffer, 0, 2 + threads + slots);
    this.#starts = new BigInt64Array(this.buffer, control, 2 + slots);
    this.#counts = new Float64Array(this.buffer, control + starts, cells * slots);
    this.#rest = new Float64Array(this.buffer, control + starts + 8 * cells * slots, cells);
    if (buffer === undefined) this.#starts.fill(BigInt(NO_PERIOD));
  }

  /** A lane that no other thread has; undefined where there is none left. */
  claim(): number | undefined {
    const lane = Atomics.add(this.#control, 0, 1);
    return lane < this.threads ? lane : undefined;
  }

  get claimed(): number {
    return Math.min(this.threads, Atomics.load(this.#control, 0));
  }

  /** Changes whenever some thread found the period to be another one. */
  get turns(): number {
    return Atomics.load(this.#control, 1);
  }

  /** Start of the period that counts, in milliseconds since the Unix epoch. */
  get start(): number {
    return Number(Atomics.load(this.#starts, 0));
  }

  /** This period counts from now on, for all threads. */
  turnTo(period: Period): void {
    const start = BigInt(period.start);
    if (Atomics.exchange(this.#starts, 0, start) !== start) Atomics.add(this.#control, 1, 1);
  }

  /** The slot that a lane counts in. */
  openSlot(lane: number): number {
    return lane * SLOTS + Atomics.load(this.#control, 2 + lane);
  }

  /** The other one of the same lane. */
  otherSlot(slot: number): number {
    return slot ^ 1;
  }

  setOpenSlot(lane: number, slot: number): void {
    Atomics.store(this.#control, 2 + lane, slot - lane * SLOTS);
  }

  state(slot: number): number {
    return Atomics.load(this.#control, 2 + this.threads + slot);
  }

  setState(slot: number, state: number): void {
    Atomics.store(this.#control, 2 + this.threads + slot, state);
  }

  /** Changes what a slot is, unless somebody else has. */
  moveState(slot: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#control, 2 + this.threads + slot, from, to) === from;
  }

  startOf(slot: number): number {
    return Number(Atomics.load(this.#starts, 2 + slot));
  }

  setStartOf(slot: number, start: number): void {
    Atomics.store(this.#starts, 2 + slot, BigInt(start));
  }

  count(slot: number, cell: number): number {
    return this.#counts[slot * this.cells + cell] as number;
  }

  setCount(slot: number, cell: number, amount: number): void {
    this.#counts[slot * this.cells + cell] = amount;
  }

  /** What is used of a cell in a period, by all threads and everybody else. */
  total(start: number, cell: number): number {
    let sum = Number(Atomics.load(this.#starts, 1)) === start ? (this.#rest[cell] as number) : 0;
    for (let lane = this.claimed - 1; lane >= 0; lane--) {
      const slot = this.openSlot(lane);
      if (this.startOf(slot) === start) sum += this.count(slot, cell);
    }
    return sum;
  }

  /** Tells all threads what is used of a cell and in no open slot. Whatever was told of another period is forgotten. */
  setRest(start: number, cell: number, rest: number): void {
    if (Number(Atomics.load(this.#starts, 1)) !== start) {
      Atomics.store(this.#starts, 1, BigInt(NO_PERIOD));
      for (let other = 0; other < this.cells; other++) this.#rest[other] = 0;
      Atomics.store(this.#starts, 1, BigInt(start));
    }
    this.#rest[cell] = rest;
  }
}
