import type { UsageStore } from "../../hops/usage-store.ts";

/** A store to test, and what belongs to it. */
export interface StoreUnderTest {
  /** Empty, with the default dimensions. */
  readonly store: UsageStore;
  /** For stores that outlive their object: closes `store` and opens another one on the same data. */
  reopen?(): Promise<UsageStore>;
  /** Closes and deletes all of it. */
  dispose(): Promise<void>;
}

/** Runs a test on an empty store, and disposes of it. */
export type WithStore = (work: (store: UsageStore, tested: StoreUnderTest) => Promise<void>) => Promise<void>;
