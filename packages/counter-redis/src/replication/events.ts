/** What happens to shared counts, for those who watch over them. */
export type RedisEvent =
  | Unhealthy
  /** Redis is back. */
  | { readonly kind: "healthy" }
  | LostCounts
  | RefusedCounts
  | ForgivenSlice
  | FailedChore
  | Cautioned;

/**
 * The counter stopped trying: it goes on with its own counts and the last known ones of others. Again where another reason is
 * known than the one that was told: why there is no connection, the client often tells a moment later.
 */
export interface Unhealthy {
  readonly kind: "unhealthy";
  readonly error: unknown;
}

/** Shared counts turned out to be lost: wiped, evicted, or restored from an older state. They are being made whole again. */
export interface LostCounts {
  readonly kind: "lost";
  /** The period's key. */
  readonly period: string;
  /** Those of this instance. */
  readonly backends: readonly string[];
}

/** The shared counts of some backends cannot be used; all others go on, and nothing that is counted here is lost. */
export interface RefusedCounts {
  readonly kind: "refused";
  /** The period's key. */
  readonly period: string;
  /** Several where it is a key that they share. */
  readonly backends: readonly string[];
  /** Names the key, and what is wrong with it. */
  readonly error: Error;
}

/** A writer was taken for dead, and what it could have used was given to others: a limit may be passed by as much. */
export interface ForgivenSlice {
  readonly kind: "forgiven";
  /** The period's key. */
  readonly period: string;
  readonly backend: string;
  readonly writer: string;
  /** By dimension, without zeros. */
  readonly usage: Readonly<Record<string, number>>;
}

/** Something that is done besides exchanging counts has failed. It is tried again, and told again where the reason changes. */
export interface FailedChore {
  readonly kind: "failed";
  /**
   * `reconcile`: what others shared and did not live to store was looked for, so that it is stored. `report`: Redis was to be
   * told what is stored. `hydrate`: what the store knows was to be shared. `discard`: what was discarded was to be deleted.
   * `forgive`: what dead instances keep from others was to be written off.
   * `close`: what was counted here was to be shared before the counter ends.
   */
  readonly chore: "reconcile" | "report" | "hydrate" | "discard" | "forgive" | "close";
  readonly error: unknown;
}

/**
 * Exact limits need something of the server that it was seen not to have, or that could not be seen. Right after `connect`, each by
 * itself; it goes on all the same.
 */
export interface Cautioned {
  readonly kind: "cautioned";
  /** What is wrong, and what to do. */
  readonly problem: string;
}
