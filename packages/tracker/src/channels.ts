import { type Channel, channel } from "node:diagnostics_channel";
import type { RejectedTally } from "@usage/counter-core";

/** A message on `usage:limit-exceeded`: a backend was refused a request. */
export interface LimitExceededMessage {
  readonly backend: string;
  /** The dimensions whose limit usage and proposal together would exceed. */
  readonly exceeded: readonly string[];
  /** The key of the current period. */
  readonly period: string;
}

/** A message on `usage:flush`: a flush ended. */
export interface FlushMessage {
  /** Tallies that the store has taken. */
  readonly stored: number;
  /** Tallies that it will never take; they stay in the counter. */
  readonly rejected: readonly RejectedTally[];
  /** Present where the store had lost what it had confirmed; see `FlushResult.lost`. */
  readonly lost?: true;
  /** Why the flush, or the refresh before it, failed; absent when both succeeded. Nothing is lost: what is not stored is tried again. */
  readonly error?: unknown;
}

/** Publishes a `LimitExceededMessage` for every `withinLimits` that answers false, while anybody listens. */
export const limitExceededChannel: Channel = channel("usage:limit-exceeded");

/**
 * Publishes a `FlushMessage` for every flush, while anybody listens; also for one of a `UsageFlusher` that fails before it
 * has anything to store, as all do while the database is away.
 */
export const flushChannel: Channel = channel("usage:flush");
