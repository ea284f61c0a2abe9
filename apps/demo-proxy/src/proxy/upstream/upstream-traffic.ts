import { STORAGE_DIMENSIONS } from "@usage/counter-core";
import { DurationBuckets } from "../../counting/duration-buckets.ts";
import { type Trouble, troubleOf } from "./trouble.ts";

/** From the cache of a neighbour to the edge of what clients wait for, in seconds. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

const CLASSES = 6;

/**
 * What one backend was asked and answered, as plain numbers: the request path adds to them and allocates nothing, everything
 * else happens when somebody reads them.
 */
export class UpstreamTraffic {
  /** Heads of final responses by the first digit of their status. */
  readonly responses: Float64Array = new Float64Array(CLASSES);
  /** From the choice of the backend to the head of its response. */
  readonly latency: DurationBuckets = new DurationBuckets(LATENCY_BOUNDS);
  /** Requests that it was not chosen for because of a limit, by place of the dimension. */
  readonly rejections: Float64Array;
  /** Requests that it was not chosen for because of a limit, each once whatever dimensions were in the way. */
  passedBy = 0;
  /** Of the rejections, the ones that would have fit beside what is used: what is only reserved was in the way. */
  readonly reservationRejections: Float64Array;
  /** Bodies that were cut or not begun since an exact limit left no room, by place of the dimension. */
  readonly cuts: Float64Array;
  /** WebSockets that it has opened. */
  upgraded = 0;
  /** Of those, the ones that are open. */
  open = 0;
  /** Requests that were given to it and are not over. */
  inFlight = 0;
  /** Requests that it could not be connected to for. */
  unconnected = 0;
  /** Requests that were sent again since it closed a kept connection as they came. */
  resent = 0;
  /** Requests that it broke off, before or after the head of its response. */
  broken = 0;
  /** Answers of models that did not say what they cost, so that it was estimated. */
  estimated = 0;
  /** Why it broke off the last of them. */
  brokenBy: Trouble | undefined;

  /** @param dimensions how many are counted. */
  constructor(dimensions: number = STORAGE_DIMENSIONS.length) {
    this.rejections = new Float64Array(dimensions);
    this.reservationRejections = new Float64Array(dimensions);
    this.cuts = new Float64Array(dimensions);
  }

  broke(error: Error): void {
    this.broken += 1;
    this.brokenBy = troubleOf(error);
  }

  answered(status: number, afterMs: number): void {
    const digit = Math.trunc(status / 100);
    // HTTP allows three digits, and parsers let the ones above 5 pass.
    if (digit < CLASSES) (this.responses[digit] as number) += 1;
    else (this.responses[0] as number) += 1;
    this.latency.observe(afterMs);
  }
}
