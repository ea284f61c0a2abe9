import type { StorageDimension } from "@usage/counter-core";

/** A backend has used a part of a limit, of what is stored of all instances. */
export interface ThresholdEvent<D extends string = StorageDimension> {
  /** The same whenever, wherever and to whomever this crossing is told: of backend, period, dimension, threshold and limit. */
  readonly id: string;
  readonly backend: string;
  readonly dimension: D;
  /** Absent without windows. */
  readonly window?: string;
  /** The part of the limit, 0.8 say. */
  readonly threshold: number;
  readonly limit: number;
  /** What was used when that was found: `threshold * limit` or more. */
  readonly usage: number;
  /** The period's key. */
  readonly period: string;
}

/** One attempt to tell of an event. */
export interface Delivery {
  /** 1 the first time. */
  readonly attempt: number;
  /** Aborted once it takes too long. */
  readonly signal: AbortSignal;
}

/** Something is tried again: to find what is crossed, or to deliver an event. */
export interface ThresholdFailure<D extends string = StorageDimension> {
  readonly error: unknown;
  /** What could not be delivered; absent where something else failed. */
  readonly event?: ThresholdEvent<D>;
  /** How often it was tried. */
  readonly attempt?: number;
}

/** `onThreshold` took longer than it may. The event is delivered again. */
export class DeliveryTimeoutError extends Error {
  readonly code = "USAGE_DELIVERY_TIMEOUT";
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`onThreshold did not end within ${timeoutMs} ms`);
    this.name = "DeliveryTimeoutError";
    this.timeoutMs = timeoutMs;
  }
}
