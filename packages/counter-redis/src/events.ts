import { type Channel, channel } from "node:diagnostics_channel";

/** Shared counts turned out to be lost: wiped, evicted, or restored from an older state. They are being made whole again. */
export interface LostCounts {
  /** The period's key. */
  readonly period: string;
  readonly backends: readonly string[];
}

/** One backend's shared counts cannot be used; all others go on, and nothing that is counted here is lost. */
export interface RefusedCounts {
  /** The period's key. */
  readonly period: string;
  readonly backend: string;
  /** Names the key, and what is wrong with it. */
  readonly error: Error;
}

/** What happens to the shared counts, by event name. */
export interface RedisCounterEvents {
  /** The counter stopped trying: it goes on with its own counts and the last known ones of others. */
  unhealthy: [error: unknown];
  /** Redis is back. */
  healthy: [];
  lost: [loss: LostCounts];
  refused: [refusal: RefusedCounts];
}

/** A message on `usage:redis`. */
export type RedisMessage =
  | { readonly event: "unhealthy"; readonly error: unknown }
  | { readonly event: "healthy" }
  | ({ readonly event: "lost" } & LostCounts)
  | ({ readonly event: "refused" } & RefusedCounts);

/** Publishes a `RedisMessage` for every event of every counter, while anybody listens. */
export const redisChannel: Channel = channel("usage:redis");
