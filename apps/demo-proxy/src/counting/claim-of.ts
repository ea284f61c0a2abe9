import type { RedisCounterOptions } from "@usage/counter-redis";
import type { StoreConfig } from "../config/proxy-config.ts";

/**
 * How instances with exact limits note what they begin to share, where it must not be noted in the store: of SQLite, each may have a
 * file of its own, in which everything is new. Nothing is new then, and what an instance shares first waits for the others.
 */
export function claimOf(store: StoreConfig): RedisCounterOptions["claim"] {
  return store.kind === "sqlite" ? async () => [] : undefined;
}
