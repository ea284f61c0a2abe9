import type { UsageTracker } from "@usage/tracker";

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
 */
export class Reservation {
  readonly #backend: string;
  readonly #tracker: UsageTracker;
  readonly #reserved: Reserved;
  #request = 1;
  #egressBytes = 0;
  #ingressBytes: number;

  constructor(backend: string, tracker: UsageTracker, reserved: Reserved, ingressBytes: number) {
    this.#backend = backend;
    this.#tracker = tracker;
    this.#reserved = reserved;
    this.#ingressBytes = exact(reserved.ingressBytes, ingressBytes);
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
    this.#giveBackIngress(Math.min(bytes, this.#ingressBytes));
  }

  /** So many bytes of body are expected from now on, in place of what was expected before. */
  expectEgress(bytes: number): void {
    this.#giveBackEgress(this.#egressBytes);
    const held = exact(this.#reserved.egressBytes, bytes);
    this.#egressBytes = held;
    this.#reserved.egressBytes += held;
  }

  /** So many bytes of the response's body came from the upstream. */
  countEgress(bytes: number): void {
    this.#tracker.record(this.#backend, { egressBytes: bytes });
    this.#giveBackEgress(Math.min(bytes, this.#egressBytes));
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

  #giveBackIngress(bytes: number): void {
    this.#reserved.ingressBytes -= bytes;
    this.#ingressBytes -= bytes;
  }

  #giveBackEgress(bytes: number): void {
    this.#reserved.egressBytes -= bytes;
    this.#egressBytes -= bytes;
  }
}

/** Lengths are claims, and a sum of them past 2^53-1 would lose bytes: what would take it there is not reserved. */
function exact(sum: number, bytes: number): number {
  return Number.isSafeInteger(sum + bytes) ? bytes : 0;
}
