import type { UsageStore } from "@usage/counter-core";

/** Notes in the store that buckets of a period were opened; resolves to those of which nobody had noted it before. */
export type ClaimOpened = (period: string, buckets: readonly number[]) => Promise<readonly number[]>;

/** Where it is noted which buckets were opened: as an option says, else in the first store that keeps marks. */
export class Openings {
  #claim: ClaimOpened | undefined;

  constructor(claim: ClaimOpened | undefined) {
    this.#claim = claim;
  }

  /** Undefined: nowhere. */
  get claim(): ClaimOpened | undefined {
    return this.#claim;
  }

  /** `name` tells these shared counts from others that have the same store. */
  bind(store: Pick<UsageStore, "claim">, name: string): void {
    if (store.claim === undefined) return;
    const prefix = `opened in ${name}: bucket `;
    this.#claim ??= async (period, buckets) => {
      const marks = await store.claim?.(buckets.map((bucket) => ({ period, mark: prefix + bucket })));
      return (marks ?? []).map(({ mark }) => Number(mark.slice(prefix.length)));
    };
  }
}
