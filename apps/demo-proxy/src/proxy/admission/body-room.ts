import type { Hold, StorageDimension } from "@usage/counter-core";
import type { WaitOptions } from "@usage/tracker";
import type { Books } from "./books.ts";

/** Longer than any request takes: a hold that expired would no longer keep room for one that runs. */
export const HOLDING = { ttlMs: 2 ** 31 - 1 } as const;

/** A body that would take longer than this for its rest, in seconds, is slow. */
const PATIENCE_S = 60;

export type BodyDimension = "egressBytes" | "ingressBytes";

/** How requests are kept within limits that are exact. */
export interface ExactLimits {
  /** How long a request or a body may wait for room that is elsewhere, in milliseconds; 0: not at all. */
  readonly waitMs: number;
}

/** What is kept free for a body: where one passes, it is told here. */
export interface Room {
  /** Whether so many more bytes may pass, which will be counted then. */
  take(bytes: number): boolean;
  /** `take`, and where there is no room for now waits for it a while. */
  takeSoon(bytes: number): Promise<boolean>;
  /** So many bytes passed. */
  count(bytes: number): void;
  /**
   * So many bytes are expected from now on, in place of what was expected before. Returns false where limits are exact and there
   * is no room for all of them; else as much is held as there is room for.
   */
  expect(bytes: number): boolean;
  /** `expect`, and where there is no room for now waits for it a while. */
  expectSoon(bytes: number): Promise<boolean>;
  /** Keeps no more free than a body needs that is as slow as this one, where that is due. */
  glance(isDue: boolean): void;
  /** What comes from now on is used in the present month; to be called now and then where a body may last for months. */
  turn(): void;
  /** Whether a limit leaves room for nothing more, whatever is given back. Where limits are exact, `take` says so in time. */
  readonly isUsedUp: boolean;
}

/**
 * What a request's hold keeps free for one of its two bodies.
 *
 * A body holds all that it announced, unless it is slow: then, from one glance to the next, half of what it held, but no less than
 * what it moves in a minute at its present pace. So nobody holds a limit's room by announcing a body and trickling it. What it does
 * not hold when it comes it holds as it comes, piece by piece.
 */
export class BodyRoom implements Room {
  readonly dimension: BodyDimension;
  readonly #books: Books;
  readonly #exact: ExactLimits | undefined;
  /** The request's, or one of its own in a later month. */
  #hold: Hold;
  readonly #first: Hold;
  /** What was announced and has not passed: now, and at the last glance. */
  #rest: number;
  #seen: number;
  /** What it is to hold, and what it does: less, where there was no room. */
  #wanted: number;
  #held: number;
  /** What was taken and is not counted yet. */
  #taken = 0;
  #waiting: AbortController | undefined;
  #isReleased = false;

  /**
   * @param bytes what the body has announced: the hold keeps them free.
   * @param exact absent: a body passes to its end, whatever room there is.
   */
  constructor(hold: Hold, dimension: BodyDimension, bytes: number, books: Books, exact: ExactLimits | undefined) {
    this.dimension = dimension;
    this.#books = books;
    this.#exact = exact;
    this.#hold = hold;
    this.#first = hold;
    this.#rest = bytes;
    this.#seen = bytes;
    this.#wanted = bytes;
    this.#held = bytes;
  }

  take(bytes: number): boolean {
    const lacks = this.#taken + bytes - this.#held;
    // fault: lets a body pass that has no room
    if (lacks > 0 && this.#exact !== undefined && !this.#extend(lacks) && !this.#renew(this.#taken + bytes))
      return false;
    this.#taken += bytes;
    return true;
  }

  /** So many bytes that were taken do not pass. What is held for them is kept for the next ones. */
  giveBack(bytes: number): void {
    this.#taken = Math.max(0, this.#taken - bytes);
  }

  async takeSoon(bytes: number): Promise<boolean> {
    return this.take(bytes) || ((await this.#wait(this.#taken + bytes - this.#held)) && this.take(bytes));
  }

  count(bytes: number): void {
    this.#hold.count(this.#amount(bytes));
    this.#rest = Math.max(0, this.#rest - bytes);
    this.#wanted = Math.max(0, this.#wanted - bytes);
    this.#held = Math.max(0, this.#held - bytes);
    this.#taken = Math.max(0, this.#taken - bytes);
  }

  expect(bytes: number): boolean {
    // A length is a claim: whatever is no amount is more than there is room for.
    const claimed = Number.isSafeInteger(bytes) ? bytes : Number.MAX_SAFE_INTEGER;
    this.#rest = claimed;
    this.#seen = claimed;
    this.#want(claimed);
    return this.#held >= claimed || this.#exact === undefined || !this.#isLimited();
  }

  async expectSoon(bytes: number): Promise<boolean> {
    return this.expect(bytes) || ((await this.#wait(bytes - this.#held)) && this.expect(bytes));
  }

  turn(): void {
    if (!this.#isOver || this.#isReleased || this.#taken > 0) return;
    // fault: counts a WebSocket in the month in which it was opened, for ever
    this.#use(this.#books.tryReserve(this.#hold.backend, this.#amount(0), HOLDING), 0);
  }

  get isUsedUp(): boolean {
    return this.#exact === undefined && this.#isLimited() && this.#books.isUsedUp(this.#hold.backend, this.dimension);
  }

  glance(isDue: boolean): void {
    if (isDue) this.#want(Math.max(this.#taken, paced(this.#wanted, this.#rest, this.#seen)));
    this.#seen = this.#rest;
  }

  /** Nobody waits for room any more, and of what the request's own hold does not keep free nothing is kept free. */
  release(): void {
    this.#isReleased = true;
    this.#waiting?.abort();
    if (this.#hold !== this.#first) this.#hold.void();
  }

  #want(bytes: number): void {
    this.#wanted = bytes;
    const more = bytes - this.#held;
    if (more < 0) {
      this.#hold.shrink(this.#amount(-more));
      this.#held = bytes;
    } else if (more > 0 && !this.#extend(more)) {
      // Room for a part of it is of use only to a body that passes in any case.
      if (this.#exact !== undefined && this.#isLimited()) return;
      const room = Math.min(more, this.#books.roomOf(this.#hold.backend, this.dimension) ?? 0);
      if (room > 0) this.#extend(room);
    }
  }

  #extend(bytes: number): boolean {
    const isHeld = this.#hold.extend(this.#amount(bytes));
    if (isHeld) this.#held += bytes;
    return isHeld;
  }

  /** Waits until so many more bytes are held. */
  async #wait(bytes: number): Promise<boolean> {
    const { waitMs = 0 } = this.#exact ?? {};
    if (waitMs === 0 || this.#isReleased) return false;
    this.#waiting = new AbortController();
    const options = { waitMs, signal: this.#waiting.signal };
    try {
      const isHeld = await this.#books.extend(this.#hold, this.#amount(bytes), options);
      if (isHeld) this.#held += bytes;
      return isHeld || (await this.#renewSoon(this.#held + bytes, options));
    } catch {
      // Nobody waits any more, or the backend is not held any more.
      return false;
    }
  }

  /** What passes in a later month than the request's, where that has no room left, is the later month's. */
  #renew(bytes: number): boolean {
    // fault: cuts what runs when the month is over
    if (!this.#isOver || this.#isReleased) return false;
    return this.#use(this.#books.tryReserve(this.#hold.backend, this.#amount(bytes), HOLDING), bytes);
  }

  async #renewSoon(bytes: number, options: WaitOptions): Promise<boolean> {
    if (!this.#isOver) return false;
    const hold = await this.#books.reserve(this.#hold.backend, this.#amount(bytes), { ...HOLDING, ...options });
    if (this.#isReleased) hold?.void();
    return this.#use(hold, bytes);
  }

  /** Whether the hold's month is over. */
  get #isOver(): boolean {
    return this.#books.isOver(this.#hold);
  }

  #use(hold: Hold | undefined, bytes: number): boolean {
    if (hold === undefined) return false;
    if (this.#hold !== this.#first) this.#hold.void();
    this.#hold = hold;
    this.#held = bytes;
    return true;
  }

  #isLimited(): boolean {
    return this.#books.roomOf(this.#hold.backend, this.dimension) !== undefined;
  }

  #amount(bytes: number): Partial<Record<StorageDimension, number>> {
    return { [this.dimension]: bytes };
  }
}

/** What a body is to hold whose rest was `seen` bytes at the last glance: all of the rest, unless that is slow. */
function paced(held: number, rest: number, seen: number): number {
  // fault: holds all that was announced, however slowly it comes
  return Math.min(rest, Math.max(Math.ceil(held / 2), (seen - rest) * PATIENCE_S));
}
