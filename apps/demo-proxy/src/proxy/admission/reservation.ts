import type { Hold, StorageDimension, Usage } from "@usage/counter-core";
import { BodyRoom, type ExactLimits, type Room } from "./body-room.ts";
import type { Books } from "./books.ts";
import { JointRoom } from "./joint-room.ts";

/** How often what is reserved is held against what moves, in milliseconds. */
export const GLANCE_MS = 1_000;

/** Glances for which a body may rest, while its upstream is connected to, say, before it counts as slow. */
const GRACE = 3;

/**
 * One admitted request's hold at an upstream, or at its client. What passes is counted and taken off the hold in the same step;
 * `release` gives back whatever is left of it.
 *
 * Where limits are exact, `take` comes before any byte passes, and what it refuses must not pass. Else a body passes to its end.
 */
export class Reservation {
  readonly #hold: Hold;
  readonly #ingress: BodyRoom;
  readonly #egress: BodyRoom;
  /** That of the request's client. */
  #client: Reservation | undefined;
  #rooms: { readonly ingress: Room; readonly egress: Room } | undefined;
  #isRequestCounted = false;
  #glances = 0;

  /** @param usage what the hold keeps free; nothing is kept of the object. */
  constructor(hold: Hold, { ingressBytes, egressBytes }: Readonly<Usage>, books: Books, exact?: ExactLimits) {
    this.#hold = hold;
    this.#ingress = new BodyRoom(hold, "ingressBytes", ingressBytes, books, exact);
    this.#egress = new BodyRoom(hold, "egressBytes", egressBytes, books, exact);
  }

  get ingress(): Room {
    return this.#rooms?.ingress ?? this.#ingress;
  }

  get egress(): Room {
    return this.#rooms?.egress ?? this.#egress;
  }

  /** Whatever passes from now on is kept within what the request's client may use, and counted there, too. */
  shareWith(client: Reservation): void {
    this.#client = client;
    this.#rooms = {
      ingress: new JointRoom(client.#ingress, this.#ingress),
      egress: new JointRoom(client.#egress, this.#egress),
    };
  }

  /** What passes from now on is nothing that the client gets. */
  unshare(): void {
    this.#client = undefined;
    this.#rooms = undefined;
  }

  /** The request was written to the upstream. Only the first call counts. */
  countRequest(): void {
    if (this.#isRequestCounted) return;
    this.#isRequestCounted = true;
    this.#client?.countRequest();
    this.#hold.count(ONE_REQUEST);
  }

  /** Counts a part of what the request costs besides itself and its bytes. */
  count(part: Partial<Usage>): void {
    this.#client?.count(part);
    this.#hold.count(part);
  }

  /** It costs so much less than it was held for. */
  shrink(less: Partial<Usage>): void {
    this.#client?.shrink(less);
    this.#hold.shrink(less);
  }

  /** So many bytes of the response's body are expected from now on, in place of what was expected before: see `Room.expect`. */
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

  /** Nothing is kept free here any more, and nobody waits for room. What is counted later still is counted. May be called again. */
  release(): void {
    this.#ingress.release();
    this.#egress.release();
    this.#hold.void();
  }
}

const ONE_REQUEST: Partial<Record<StorageDimension, number>> = { apiRequests: 1 };
