import { UnknownUsageError } from "@usage/counter-core";
import { FlushTimeoutError, type UsageTracker } from "@usage/tracker";
import type { StoreConfig } from "../config/proxy-config.ts";
import { StoreStartError } from "./open-store.ts";

/**
 * Holds backends, once the store has told what was used of them in this period: limits are never open. What could not be known
 * is not held.
 *
 * @throws StoreStartError
 */
export async function ensureKnown(tracker: UsageTracker, names: readonly string[], store: StoreConfig): Promise<void> {
  const added = names.filter((name) => !tracker.counter.has(name));
  try {
    await tracker.ensure(names);
    // Where counts are shared, Redis alone is enough for `ensure`: it may have been wiped.
    // fault: takes Redis's word for what was used of a backend
    await tracker.refresh();
  } catch (error) {
    for (const name of added) tracker.release(name);
    throw storeErrorOf(store, error);
  }
}

/** What keeps usage from being known, in the words of whoever configures it. */
export function storeErrorOf(store: StoreConfig, error: unknown): StoreStartError {
  return new StoreStartError(store, explained(error));
}

function explained(error: unknown): unknown {
  const cause = error instanceof UnknownUsageError ? error.cause : error;
  if (!(cause instanceof FlushTimeoutError)) return cause;
  const what = `this period's usage could not be read within ${cause.timeoutMs} ms`;
  return new Error(`${what}; find what holds the database up, or raise flush.timeoutMs`, { cause });
}
