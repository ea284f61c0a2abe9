import type { Period } from "./period.ts";

/**
 * What this process counted in one period, for a counter that shares its counts with others. A backend goes by its index in
 * `backends()`, a dimension by its index in `dimensions`.
 */
export interface PeriodCounts {
  readonly period: Period;
  /** Under whose name a backend is counted: another one after `discard`. */
  writerOf(backend: number): string;
  /** What this process counted. */
  mine(backend: number, dimension: number): number;
  /** Whether all of it is known to be stored. */
  isSettled(backend: number): boolean;
  /** What everybody else counted, as far as known. */
  others(backend: number, dimension: number): number;
  /** Replaces it. */
  setOthers(backend: number, dimension: number, amount: number): void;
  /** Raises it to a lower bound, as far as the total stays a safe integer. */
  raiseOthers(backend: number, dimension: number, lowerBound: number): void;
}
