import type { Hold, StorageDimension } from "@usage/counter-core";
import type { UsageTracker } from "@usage/tracker";

/** How often what is reserved is held against what moves, in milliseconds. */
export const GLANCE_MS = 1_000;

/** Longer than any request takes: a hold that expired would no longer keep room for one that runs. */
export const LONGEST_REQUEST_MS: number = 2 ** 31 - 1;

/** A body that would take longer than this for its rest, in seconds, is slow. */
const PATIENCE_S = 60;

/** Glances for which a body may rest, while its upstream is connected to, say, before it counts as slow. */
const GRACE = 3;

type Direction = "egressBytes" | "ingressBytes";

/**
 * One admitted request's hold at an upstream. What passes is counted and taken off the hold in the same step; `release` gives
 * back whatever is left of it.
 *
 * A body holds all that it announced, or as much of it as there is room for, unless it is slow: then, from one glance to the
 * next, half of what it held, but no less than what it moves in a minute at its present pace. So nobody holds a limit's room by
 * announcing a body and trickling it.
 */
export class Reservation {
  readonly #hold: Hold;
  readonly #ingress: BodyHold;
  readonly #egress: BodyHold;
  #isRequestCounted = false;
  #glances = 0;

  constructor(hold: Hold, tracker: UsageTracker) {
    const { ingressBytes, egressBytes } = hold.usage;
    this.#hold = hold;
    this.#ingress = new BodyHold(hold, tracker, "ingressBytes", ingressBytes);
    this.#egress = new BodyHold(hold, tracker, "egressBytes", egressBytes);
  }

  /** The request was written to the upstream. Only the first call counts. */
  countRequest(): void {
    if (this.#isRequestCounted) return;
    this.#isRequestCounted = true;
    this.#hold.count({ apiRequests: 1 });
  }

  /** So many bytes of the request's body were given to the upstream's connection. */
  countIngress(bytes: number): void {
    this.#ingress.count(bytes);
  }

  /** So many bytes of body are expected from now on, in place of what was expected before. */
  expectEgress(bytes: number): void {
    this.#glances = 0;
    this.#egress.expect(bytes);
  }

  /** So many bytes of the response's body came from the upstream. */
  countEgress(bytes: number): void {
    this.#egress.count(bytes);
  }

  /** To be called every `GLANCE_MS` while the request runs. */
  glance(): void {
    this.#glances += 1;
    const isDue = this.#glances > GRACE;
    this.#ingress.glance(isDue);
    this.#egress.glance(isDue);
  }

  /** Nothing is kept free any more. What is counted later still is counted. May be called again. */
  release(): void {
    this.#hold.void();
  }
}

/** What a hold keeps free for one of a request's two bodies. */
class BodyHold {
  readonly #hold: Hold;
  readonly #tracker: UsageTracker;
  readonly #direction: Direction;
  /** What was announced and has not passed: now, and at the last glance. */
  #rest: number;
  #seen: number;
  /** What it is to hold, and what it does: less, where there was no room. */
  #wanted: number;
  #held: number;

  constructor(hold: Hold, tracker: UsageTracker, direction: Direction, bytes: number) {
    this.#hold = hold;
    this.#tracker = tracker;
    this.#direction = direction;
    this.#rest = bytes;
    this.#seen = bytes;
    this.#wanted = bytes;
    this.#held = bytes;
  }

  count(bytes: number): void {
    this.#hold.count(this.#amount(bytes));
    this.#rest = Math.max(0, this.#rest - bytes);
    this.#wanted = Math.max(0, this.#wanted - bytes);
    this.#held = Math.max(0, this.#held - bytes);
  }

  expect(bytes: number): void {
    // A length is a claim: whatever is no amount is more than there is room for.
    const claimed = Number.isSafeInteger(bytes) ? bytes : Number.MAX_SAFE_INTEGER;
    this.#rest = claimed;
    this.#seen = claimed;
    this.#want(claimed);
  }

  glance(isDue: boolean): void {
    if (isDue) this.#want(paced(this.#wanted, this.#rest, this.#seen));
    this.#seen = this.#rest;
  }

  #want(bytes: number): void {
    this.#wanted = bytes;
    const more = bytes - this.#held;
    if (more < 0) {
      this.#hold.shrink(this.#amount(-more));
      this.#held = bytes;
    } else if (more > 0 && !this.#extend(more)) {
      const { remaining } = this.#tracker.check(this.#hold.backend, {});
      const room = Math.min(more, remaining[this.#direction] ?? 0);
      if (room > 0) this.#extend(room);
    }
  }

  #extend(bytes: number): boolean {
    const isHeld = this.#hold.extend(this.#amount(bytes));
    if (isHeld) this.#held += bytes;
    return isHeld;
  }

  #amount(bytes: number): Partial<Record<StorageDimension, number>> {
    return { [this.#direction]: bytes };
  }
}

/** What a body is to hold whose rest was `seen` bytes at the last glance: all of the rest, unless that is slow. */
function paced(held: number, rest: number, seen: number): number {
  // fault: holds all that was announced, however slowly it comes
  return Math.min(rest, Math.max(Math.ceil(held / 2), (seen - rest) * PATIENCE_S));
}
