import type { UsageStore } from "@usage/counter-core";
import type { RedisCounterOptions } from "@usage/counter-redis";
import type { CounterConfig, StoreConfig } from "../config/proxy-config.ts";

/**
 * How instances with exact limits note once for all what they begin to share. Undefined where a note is not for all of them: a
 * store that keeps none, and SQLite, of which each may have a file of its own.
 */
export function claimInStore(
  store: UsageStore,
  config: { readonly counter: CounterConfig; readonly store: StoreConfig },
): RedisCounterOptions["claim"] {
  const { counter } = config;
  if (counter.kind !== "redis" || config.store.kind === "sqlite" || store.claim === undefined) return undefined;
  const marked = `opened in ${counter.prefix}: bucket `;
  return async (period, buckets) => {
    const marks = await store.claim?.(buckets.map((bucket) => ({ period, mark: marked + bucket })));
    return (marks ?? []).map(({ mark }) => Number(mark.slice(marked.length)));
  };
}
