import type { UsageTracker } from "@usage/tracker";

/** How often what is reserved is held against what moves, in milliseconds. */
export const GLANCE_MS = 1_000;

/** A body that would take longer than this for its rest, in seconds, is slow. */
const PATIENCE_S = 60;

/** Glances for which a body may rest, while its upstream is connected to, say, before it counts as slow. */
const GRACE = 3;

/** What is admitted at one upstream and not yet counted: added to every proposal, so that requests that arrive at once cannot all take the same remainder. */
export interface Reserved {
  apiRequests: number;
  egressBytes: number;
  ingressBytes: number;
}

/**
 * One admitted request's share of an upstream's reservations. What passes is counted and taken off the share in the same
 * step; `release` gives back whatever is left of it. Each byte is therefore given back exactly once, in whatever order an
 * exchange ends.
 *
 * A body holds all that it announced, unless it is slow: then, from one glance to the next, half of what it held, but no less
 * than what it moves in a minute at its present pace. So nobody holds a limit's room by announcing a body and trickling it.
 */
export class Reservation {
  readonly #backend: string;
  readonly #tracker: UsageTracker;
  readonly #reserved: Reserved;
  #request = 1;
  #egressBytes = 0;
  #ingressBytes: number;
  /** What was announced and has not passed: now, and at the last glance. */
  #egressRest = 0;
  #ingressRest: number;
  #egressSeen = 0;
  #ingressSeen: number;
  #glances = 0;

  constructor(backend: string, tracker: UsageTracker, reserved: Reserved, ingressBytes: number) {
    this.#backend = backend;
    this.#tracker = tracker;
    this.#reserved = reserved;
    this.#ingressBytes = exact(reserved.ingressBytes, ingressBytes);
    this.#ingressRest = ingressBytes;
    this.#ingressSeen = ingressBytes;
    reserved.apiRequests += 1;
    reserved.ingressBytes += this.#ingressBytes;
  }

  /** The request was written to the upstream. Only the first call counts. */
  countRequest(): void {
    if (this.#request === 0) return;
    this.#tracker.record(this.#backend, { apiRequests: 1 });
    this.#giveBackRequest();
  }

  /** So many bytes of the request's body were given to the upstream's connection. */
  countIngress(bytes: number): void {
    this.#tracker.record(this.#backend, { ingressBytes: bytes });
    this.#ingressRest = Math.max(0, this.#ingressRest - bytes);
    this.#giveBackIngress(Math.min(bytes, this.#ingressBytes));
  }

  /** So many bytes of body are expected from now on, in place of what was expected before. */
  expectEgress(bytes: number): void {
    this.#egressRest = bytes;
    this.#egressSeen = bytes;
    this.#glances = 0;
    this.#holdEgress(bytes);
  }

  /** So many bytes of the response's body came from the upstream. */
  countEgress(bytes: number): void {
    this.#tracker.record(this.#backend, { egressBytes: bytes });
    this.#egressRest = Math.max(0, this.#egressRest - bytes);
    this.#giveBackEgress(Math.min(bytes, this.#egressBytes));
  }

  /** To be called every `GLANCE_MS` while the request runs. */
  glance(): void {
    this.#glances += 1;
    if (this.#glances > GRACE) {
      this.#holdIngress(paced(this.#ingressBytes, this.#ingressRest, this.#ingressSeen));
      this.#holdEgress(paced(this.#egressBytes, this.#egressRest, this.#egressSeen));
    }
    this.#ingressSeen = this.#ingressRest;
    this.#egressSeen = this.#egressRest;
  }

  /** Nothing more will be counted. May be called again. */
  release(): void {
    this.#giveBackRequest();
    this.#giveBackIngress(this.#ingressBytes);
    this.#giveBackEgress(this.#egressBytes);
  }

  #giveBackRequest(): void {
    this.#reserved.apiRequests -= this.#request;
    this.#request = 0;
  }

  #holdIngress(bytes: number): void {
    this.#giveBackIngress(this.#ingressBytes);
    this.#ingressBytes = exact(this.#reserved.ingressBytes, bytes);
    this.#reserved.ingressBytes += this.#ingressBytes;
  }

  #holdEgress(bytes: number): void {
    this.#giveBackEgress(this.#egressBytes);
    this.#egressBytes = exact(this.#reserved.egressBytes, bytes);
    this.#reserved.egressBytes += this.#egressBytes;
  }

  #giveBackIngress(bytes: number): void {
    this.#reserved.ingressBytes -= bytes;
    this.#ingressBytes -= bytes;
  }

  #giveBackEgress(bytes: number): void {
    this.#reserved.egressBytes -= bytes;
    this.#egressBytes -= bytes;
  }
}

/** What a body is to hold whose rest was `seen` bytes at the last glance: all of the rest, unless that is slow. */
function paced(held: number, rest: number, seen: number): number {
  // fault: holds all that was announced, however slowly it comes
  return Math.min(rest, Math.max(Math.ceil(held / 2), (seen - rest) * PATIENCE_S));
}

/** Lengths are claims, and a sum of them past 2^53-1 would lose bytes: what would take it there is not reserved. */
function exact(sum: number, bytes: number): number {
  return Number.isSafeInteger(sum + bytes) ? bytes : 0;
}
