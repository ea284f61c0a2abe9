import type { ReadRows, UsageStore } from "@usage/counter-core";

/** Notes in the store that buckets of a period were opened; resolves to those of which nobody had noted it before. */
export type ClaimOpened = (period: string, buckets: readonly number[]) => Promise<readonly number[]>;

/** What a counter with exact limits asks of a store by itself. */
export type BoundStore = Pick<UsageStore, "claim" | "tallies">;

/** The store as a counter with exact limits uses it by itself: the first that it is bound to. */
export class StoreAccess {
  #claim: ClaimOpened | undefined;
  #read: ReadRows | undefined;

  /** @param claim - Where it is noted which buckets were opened, if not in that store. */
  constructor(claim: ClaimOpened | undefined) {
    this.#claim = claim;
  }

  /** Undefined: nowhere. */
  get claim(): ClaimOpened | undefined {
    return this.#claim;
  }

  /** Undefined: what the store has is brought with what is learnt of it, later. */
  get read(): ReadRows | undefined {
    return this.#read;
  }

  /** `name` tells these shared counts from others that have the same store. */
  bind(store: BoundStore, name: string): void {
    this.#read ??= (period, names) => store.tallies(period, names);
    if (store.claim === undefined) return;
    const prefix = `opened in ${name}: bucket `;
    this.#claim ??= async (period, buckets) => {
      const marks = await store.claim?.(buckets.map((bucket) => ({ period, mark: prefix + bucket })));
      return (marks ?? []).map(({ mark }) => Number(mark.slice(prefix.length)));
    };
  }
}
