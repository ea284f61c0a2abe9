import type { IncomingHttpHeaders } from "node:http";
import type { Usage } from "@usage/counter-core";
import type { Reservation } from "../proxy/admission/reservation.ts";
import type { RequestCosts } from "./cost-book.ts";

/** Counts what one try of a request costs besides requests and bytes. */
export interface RequestMeter {
  /** Whether it reads answers, so that they must not be compressed. */
  readonly readsAnswer: boolean;
  /** The request is being written to the upstream. May be called again. */
  written(): void;
  answered(status: number, headers: IncomingHttpHeaders): void;
  /** A part of the answer's body came. */
  data(chunk: Buffer): void;
  /** Nothing more comes of it. May be called again. */
  over(): void;
}

/** By rules. What of it depends on the answer's status is counted with the answer, and else once it is sure that there is none. */
export class CostMeter implements RequestMeter {
  readonly readsAnswer = false;
  readonly #costs: RequestCosts;
  readonly #reservation: Pick<Reservation, "count" | "shrink">;
  #isWritten = false;
  #isCounted = false;

  constructor(costs: RequestCosts, reservation: Pick<Reservation, "count" | "shrink">) {
    this.#costs = costs;
    this.#reservation = reservation;
  }

  written(): void {
    this.#isWritten = true;
    if (!this.#costs.dependsOnStatus) this.#count(undefined);
  }

  answered(status: number): void {
    this.#count(status);
  }

  data(): void {}

  over(): void {
    // fault: counts nothing of a request that got no answer
    if (this.#isWritten) this.#count(undefined);
  }

  #count(status: number | undefined): void {
    if (this.#isCounted) return;
    this.#isCounted = true;
    const costs = this.#costs.by(status);
    this.#reservation.count(costs as Partial<Usage>);
    const { most } = this.#costs;
    // fault: keeps free until the end what the answer did not cost
    const rest = Object.entries(most).map(([name, held]) => [name, held - (costs[name] ?? 0)]);
    this.#reservation.shrink(Object.fromEntries(rest));
  }
}

/** Several of them as one; undefined for none. */
export function joinedMeters(...given: readonly (RequestMeter | undefined)[]): RequestMeter | undefined {
  const meters = given.filter((meter) => meter !== undefined);
  if (meters.length <= 1) return meters[0];
  return {
    readsAnswer: meters.some(({ readsAnswer }) => readsAnswer),
    written: () => meters.forEach((meter) => void meter.written()),
    answered: (status, headers) => meters.forEach((meter) => void meter.answered(status, headers)),
    data: (chunk) => meters.forEach((meter) => void meter.data(chunk)),
    over: () => meters.forEach((meter) => void meter.over()),
  };
}
