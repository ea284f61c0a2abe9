import type { Hold, StorageDimension, Usage } from "@usage/counter-core";
import type { UsageTracker } from "@usage/tracker";
import { BodyRoom, type ExactLimits } from "./body-room.ts";

/** How often what is reserved is held against what moves, in milliseconds. */
export const GLANCE_MS = 1_000;

/** Glances for which a body may rest, while its upstream is connected to, say, before it counts as slow. */
const GRACE = 3;

/**
 * One admitted request's hold at an upstream. What passes is counted and taken off the hold in the same step; `release` gives
 * back whatever is left of it.
 *
 * Where limits are exact, `take` comes before any byte passes, and what it refuses must not pass. Else a body passes to its end.
 */
export class Reservation {
  readonly ingress: BodyRoom;
  readonly egress: BodyRoom;
  readonly #hold: Hold;
  #isRequestCounted = false;
  #glances = 0;

  constructor(hold: Hold, tracker: UsageTracker, exact?: ExactLimits) {
    this.#hold = hold;
    this.ingress = new BodyRoom(hold, "ingressBytes", tracker, exact);
    this.egress = new BodyRoom(hold, "egressBytes", tracker, exact);
  }

  /** The request was written to the upstream. Only the first call counts. */
  countRequest(): void {
    if (this.#isRequestCounted) return;
    this.#isRequestCounted = true;
    this.#hold.count(ONE_REQUEST);
  }

  /** Counts a part of what the request costs besides itself and its bytes. */
  count(part: Partial<Usage>): void {
    this.#hold.count(part);
  }

  /** It costs so much less than it was held for. */
  shrink(less: Partial<Usage>): void {
    this.#hold.shrink(less);
  }

  /** So many bytes of the response's body are expected from now on, in place of what was expected before: see `BodyRoom.expect`. */
  expectEgress(bytes: number): boolean {
    this.#glances = 0;
    return this.egress.expect(bytes);
  }

  /** To be called every `GLANCE_MS` while the request runs. */
  glance(): void {
    this.#glances += 1;
    const isDue = this.#glances > GRACE;
    this.ingress.glance(isDue);
    this.egress.glance(isDue);
  }

  /** Nothing is kept free any more, and nobody waits for room. What is counted later still is counted. May be called again. */
  release(): void {
    this.ingress.release();
    this.egress.release();
    this.#hold.void();
  }
}

const ONE_REQUEST: Partial<Record<StorageDimension, number>> = { apiRequests: 1 };
