import type { RejectedTally } from "@usage/counter-core";
import type { Decision } from "./decision.ts";
import type { UsageTracker } from "./usage-tracker.ts";

/** A flush ended. */
export interface FlushEvent<D extends string> {
  readonly tracker: UsageTracker<D>;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
  /** Tallies that the store has taken. */
  readonly stored: number;
  /** Tallies that it will never take; they stay in the counter. */
  readonly rejected: readonly RejectedTally[];
  /** Present where the store had lost what it had; see `FlushResult.lost`. */
  readonly lost?: true;
  /** Why the flush, or the refresh before it, failed; absent when both succeeded. Nothing is lost: what is not stored is tried again. */
  readonly error?: unknown;
}

/** A backend was refused a request, since a limit would have been passed. */
export interface LimitEvent<D extends string> {
  readonly tracker: UsageTracker<D>;
  readonly backend: string;
  /** The dimensions whose limit usage and proposal together would exceed. */
  readonly exceeded: readonly D[];
  /** See `Decision.reason`. */
  readonly reason: Decision<D>["reason"];
  /** The key of the current period. */
  readonly period: string;
}
