import { type Lanes, NO_MARK } from "./lanes.ts";

const [TURN, MARK] = [0, 1];
/** A share is a word of 32 bits: the turn of which it is in the upper 8, the amount in the others. */
const MAX_SHARE = 2 ** 24 - 1;
const SHARE_TURNS = 2 ** 8;
/** What is left is a word of 64 bits: the turn in the upper 10, the amount, which may be below zero, in the others. */
const LEFT_BITS = 54;
const LEFT_TURNS = 2 ** 10;
/** Nobody takes a larger part of what is left than one in so many, unless it is needed at once. */
const PARTS = 16;

/**
 * What threads may still use of the limits, in one `SharedArrayBuffer`. Of each cell
 *
 *     limit = counted + held + what is left + the shares of all threads
 *
 * A thread counts and holds from its own share. Where that is too little it takes more of what is left, and then of the shares of
 * others: so nothing strands with a thread that is idle or was terminated, and who is refused is refused by the limit. Whatever
 * moves is nobody's for an instant, and lost, until the period ends, with a thread that is terminated then: no limit is passed.
 *
 * All of it is of one period. With each new one the owner begins a turn; what is of an earlier turn is void.
 */
export class Room {
  readonly buffer: SharedArrayBuffer;
  /** The slot in which the owner has its share: one behind those of the threads. */
  readonly ownerSlot: number;
  readonly #lanes: Lanes;
  readonly #cells: number;
  readonly #control: Int32Array;
  readonly #left: BigInt64Array;
  /** What threads settled above their holds since the owner last looked. */
  readonly #excess: BigInt64Array;
  /** By slot and cell: what open holds keep free. Written by the thread of the slot alone. */
  readonly #held: Float64Array;
  /** By slot and cell. */
  readonly #shares: Int32Array;
  /** 1 where there is a limit. */
  readonly #isLimited: Int32Array;

  /** @param buffer - What another thread allocated for the same lanes; absent: a new one. */
  constructor(lanes: Lanes, buffer?: SharedArrayBuffer) {
    const { cells, threads } = lanes;
    this.#lanes = lanes;
    this.#cells = cells;
    this.ownerSlot = 2 * threads;
    const slots = this.ownerSlot;
    this.buffer = buffer ?? new SharedArrayBuffer(8 + 8 * cells * (2 + slots) + 4 * cells * (slots + 2));
    let at = 0;
    const next = (bytes: number): number => {
      at += bytes;
      return at - bytes;
    };
    this.#control = new Int32Array(this.buffer, next(8), 2);
    this.#left = new BigInt64Array(this.buffer, next(8 * cells), cells);
    this.#excess = new BigInt64Array(this.buffer, next(8 * cells), cells);
    this.#held = new Float64Array(this.buffer, next(8 * cells * slots), cells * slots);
    this.#shares = new Int32Array(this.buffer, next(4 * cells * (slots + 1)), cells * (slots + 1));
    this.#isLimited = new Int32Array(this.buffer, next(4 * cells), cells);
  }

  /** Takes as much of a cell for the slot's thread; `mark` tells of which period. Returns false, and takes nothing, where it is not left. */
  take(slot: number, mark: number, cell: number, amount: number): boolean {
    if (Atomics.load(this.#isLimited, cell) === 0) return true;
    const turn = Atomics.load(this.#control, TURN);
    if (this.#takeOwn(slot, cell, amount, turn)) return true;
    if (Atomics.load(this.#control, MARK) !== mark) return false;
    // Nothing more is taken also where more than the limit is used.
    if (amount === 0) return this.#leftOf(cell, turn) >= 0;
    return this.#takeMore(slot, mark, cell, amount, turn);
  }

  /** Takes as much of a cell as is counted without asking: more than is left, too. */
  force(slot: number, mark: number, cell: number, amount: number): void {
    if (amount === 0 || Atomics.load(this.#isLimited, cell) === 0) return;
    const turn = Atomics.load(this.#control, TURN);
    if (this.#takeOwn(slot, cell, amount, turn) || Atomics.load(this.#control, MARK) !== mark) return;
    this.#change(mark, cell, -amount, turn);
  }

  /** Gives back what was taken and is not used. */
  give(slot: number, mark: number, cell: number, amount: number): void {
    if (amount === 0 || Atomics.load(this.#isLimited, cell) === 0) return;
    const turn = Atomics.load(this.#control, TURN);
    if (Atomics.load(this.#control, MARK) === mark) this.#keep(slot, mark, cell, amount, turn);
  }

  /** Counts what was taken: what is not needed of it goes back, and what is beyond it is taken without asking. */
  settle(slot: number, mark: number, cell: number, taken: number, counted: number): void {
    if (counted > taken) this.force(slot, mark, cell, counted - taken);
    else this.give(slot, mark, cell, taken - counted);
  }

  /** How much can be taken of a cell, by whomever; Infinity where it is not limited. */
  available(mark: number, cell: number): number {
    if (Atomics.load(this.#isLimited, cell) === 0) return Number.POSITIVE_INFINITY;
    const turn = Atomics.load(this.#control, TURN);
    if (Atomics.load(this.#control, MARK) !== mark) return -1;
    let sum = this.#leftOf(cell, turn);
    this.#eachSlot(mark, (slot) => {
      sum += shareOf(Atomics.load(this.#shares, slot * this.#cells + cell), turn);
    });
    return sum;
  }

  held(slot: number, cell: number): number {
    return this.#held[slot * this.#cells + cell] as number;
  }

  setHeld(slot: number, cell: number, amount: number): void {
    this.#held[slot * this.#cells + cell] = amount;
  }

  noteExcess(cell: number, amount: number): void {
    Atomics.add(this.#excess, cell, BigInt(amount));
  }

  /** What was noted since this was last asked. */
  takeExcess(cell: number): number {
    return Number(Atomics.exchange(this.#excess, cell, 0n));
  }

  /** The slot is of another period: it has no share. By its thread. */
  clear(slot: number): void {
    for (let cell = 0; cell < this.#cells; cell++) Atomics.store(this.#shares, slot * this.#cells + cell, 0);
  }

  /** A period begins in which so much of each cell may be used. By the owner. */
  begin(mark: number, leftOf: (cell: number) => number): void {
    Atomics.store(this.#control, MARK, NO_MARK);
    // fault: lets threads use in one month what was left of another
    const turn = Atomics.add(this.#control, TURN, 1) + 1;
    for (let cell = 0; cell < this.#cells; cell++) {
      Atomics.store(this.#left, cell, wordOf(leftOf(cell), turn));
      Atomics.exchange(this.#excess, cell, 0n);
    }
    Atomics.store(this.#control, MARK, mark);
  }

  /** So much more may be used of a cell, or less where it is below zero. By the owner. */
  change(mark: number, cell: number, by: number): void {
    if (by !== 0 && Atomics.load(this.#isLimited, cell) === 1) {
      this.#change(mark, cell, by, Atomics.load(this.#control, TURN));
    }
  }

  /** A cell is limited from now on, and so much may be used. By the owner. */
  limit(cell: number, left: number): void {
    const turn = Atomics.load(this.#control, TURN);
    // Of a time in which there was a limit before. Whoever attaches later has none.
    for (let slot = this.#lanes.slots - 1; slot >= 0; slot--) Atomics.store(this.#shares, slot * this.#cells + cell, 0);
    Atomics.store(this.#shares, this.ownerSlot * this.#cells + cell, 0);
    Atomics.store(this.#left, cell, wordOf(left, turn));
    Atomics.store(this.#isLimited, cell, 1);
  }

  /** A cell is not limited any more. By the owner. */
  unlimit(cell: number): void {
    Atomics.store(this.#isLimited, cell, 0);
  }

  #takeOwn(slot: number, cell: number, amount: number, turn: number): boolean {
    const at = slot * this.#cells + cell;
    const word = Atomics.load(this.#shares, at);
    const share = shareOf(word, turn);
    if (share < amount || share === 0) return false;
    return amount === 0 || Atomics.compareExchange(this.#shares, at, word, word - amount) === word;
  }

  /** From what is left, as much more as is worth the while; then from the shares of others. */
  #takeMore(slot: number, mark: number, cell: number, amount: number, turn: number): boolean {
    let taken = this.#takeShare(slot, cell, turn);
    if (taken < amount) taken += this.#draw(cell, amount - taken, turn);
    if (taken < amount) {
      this.#eachSlot(mark, (other) => {
        // fault: leaves with other threads what they do not use
        if (taken < amount) taken += this.#takeShare(other, cell, turn);
      });
    }
    const isEnough = taken >= amount;
    const rest = isEnough ? taken - amount : taken;
    if (rest > 0) this.#keep(slot, mark, cell, rest, turn);
    return isEnough;
  }

  #draw(cell: number, need: number, turn: number): number {
    for (;;) {
      const word = Atomics.load(this.#left, cell);
      const left = amountIn(word, turn);
      if (left <= 0) return 0;
      // fault: takes more of a limit than is left
      const share = Math.min(left, Math.max(need, Math.min(Math.floor(left / PARTS), MAX_SHARE)));
      // fault: takes of a limit what another thread takes at once
      if (Atomics.compareExchange(this.#left, cell, word, word - BigInt(share)) === word) return share;
    }
  }

  /** All of a share. */
  #takeShare(slot: number, cell: number, turn: number): number {
    const at = slot * this.#cells + cell;
    for (;;) {
      const word = Atomics.load(this.#shares, at);
      const share = shareOf(word, turn);
      if (share === 0 || Atomics.compareExchange(this.#shares, at, word, word - share) === word) return share;
    }
  }

  /** Puts what is not used into the own share, and the rest of it back. */
  #keep(slot: number, mark: number, cell: number, amount: number, turn: number): void {
    const at = slot * this.#cells + cell;
    const word = Atomics.load(this.#shares, at);
    const share = shareOf(word, turn) + amount;
    const isKept =
      share <= MAX_SHARE && Atomics.compareExchange(this.#shares, at, word, shareWordOf(share, turn)) === word;
    if (!isKept) this.#change(mark, cell, amount, turn);
    // More than the limit may be used since, and whoever took that has passed over what was in nobody's share.
    else if (this.#leftOf(cell, turn) < 0) this.#change(mark, cell, this.#takeShare(slot, cell, turn), turn);
  }

  /** Where more than the limit is used, no thread keeps a share. */
  #change(mark: number, cell: number, by: number, turn: number): void {
    let left = this.#add(cell, by, turn);
    if (left >= 0) return;
    this.#eachSlot(mark, (slot) => {
      const share = left < 0 ? this.#takeShare(slot, cell, turn) : 0;
      // fault: leaves threads their shares of a limit that is lowered
      if (share > 0) left = this.#add(cell, share, turn);
    });
  }

  #add(cell: number, by: number, turn: number): number {
    for (;;) {
      const word = Atomics.load(this.#left, cell);
      if (turnIn(word) !== turn % LEFT_TURNS) return 0;
      const added = word + BigInt(by);
      if (Atomics.compareExchange(this.#left, cell, word, added) === word) return amountIn(added, turn);
    }
  }

  #leftOf(cell: number, turn: number): number {
    return amountIn(Atomics.load(this.#left, cell), turn);
  }

  #eachSlot(mark: number, visit: (slot: number) => void): void {
    for (let slot = this.#lanes.slots - 1; slot >= 0; slot--) if (this.#lanes.has(slot, mark)) visit(slot);
    visit(this.ownerSlot);
  }
}

/** What a share is worth in a turn. */
function shareOf(word: number, turn: number): number {
  return word >>> 24 === turn % SHARE_TURNS ? word & MAX_SHARE : 0;
}

function shareWordOf(amount: number, turn: number): number {
  return ((turn % SHARE_TURNS) << 24) | amount;
}

function wordOf(amount: number, turn: number): bigint {
  return BigInt.asIntN(64, (BigInt(turn % LEFT_TURNS) << BigInt(LEFT_BITS)) + BigInt(amount));
}

function turnIn(word: bigint): number {
  return Number(BigInt.asUintN(64, word - BigInt.asIntN(LEFT_BITS, word)) >> BigInt(LEFT_BITS));
}

/** Of another turn there is nothing. */
function amountIn(word: bigint, turn: number): number {
  return turnIn(word) === turn % LEFT_TURNS ? Number(BigInt.asIntN(LEFT_BITS, word)) : -1;
}
