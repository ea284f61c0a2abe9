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

/** Something that is done besides exchanging counts has failed. It is tried again, and told again where the reason changes. */
export interface FailedChore {
  /**
   * `reconcile`: what others shared and did not live to store was looked for, so that it is stored. `reconcile-ended`: the same
   * in periods that are over. `hydrate`: what the store knows was to be shared. `close`: what was counted here was to be shared
   * before the counter ends.
   */
  readonly chore: "reconcile" | "reconcile-ended" | "hydrate" | "close";
  readonly error: unknown;
}

/** What happens to the shared counts, by event name. */
export interface RedisCounterEvents {
  /**
   * The counter stopped trying: it goes on with its own counts and the last known ones of others. Again where another reason is
   * known than the one that was told: why there is no connection, the client often tells a moment later.
   */
  unhealthy: [error: unknown];
  /** Redis is back. */
  healthy: [];
  lost: [loss: LostCounts];
  refused: [refusal: RefusedCounts];
  failed: [failure: FailedChore];
}

/** A message on `usage:redis`. */
export type RedisMessage =
  | { readonly event: "unhealthy"; readonly error: unknown }
  | { readonly event: "healthy" }
  | ({ readonly event: "lost" } & LostCounts)
  | ({ readonly event: "refused" } & RefusedCounts)
  | ({ readonly event: "failed" } & FailedChore);

/** Publishes a `RedisMessage` for every event of every counter, while anybody listens. */
export const redisChannel: Channel = channel("usage:redis");
