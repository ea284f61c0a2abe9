/** What happens to shared counts, for those who watch over them. */
export type RedisEvent =
  /** The counter stopped trying: it goes on with its own counts and the last known ones of others. */
  | { readonly kind: "unhealthy"; readonly error: unknown }
  /** Redis is back. */
  | { readonly kind: "healthy" }
  | LostCounts
  | RefusedCounts;

/** Shared counts turned out to be lost: wiped, evicted, or restored from an older state. They are being made whole again. */
export interface LostCounts {
  readonly kind: "lost";
  /** The period's key. */
  readonly period: string;
  /** Those of this instance. */
  readonly backends: readonly string[];
}

/** One backend's shared counts cannot be used; all others go on, and nothing that is counted here is lost. */
export interface RefusedCounts {
  readonly kind: "refused";
  /** The period's key. */
  readonly period: string;
  readonly backend: string;
  /** Names the key, and what is wrong with it. */
  readonly error: Error;
}
