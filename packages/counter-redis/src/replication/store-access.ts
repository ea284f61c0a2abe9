import type { Clock, ReadRows, UsageStore } from "@usage/counter-core";

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

const RETRY_MS = 1_000;
/** A store that has not answered for so long is asked again, in milliseconds. What it answers later counts all the same. */
const PATIENCE_MS = 5_000;

/** One question at a time to a store that may hang or fail. Not in turn with exchanges: it holds up nothing. */
export class Attempts {
  readonly #clock: Clock;
  #againAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Does nothing while the last one is under way, or has just failed. Does not reject. */
  async run(ask: () => Promise<void>): Promise<void> {
    if (this.#clock.elapsed() < this.#againAtMs) return;
    // fault: waits for a claim of slices that is never answered
    this.#againAtMs = this.#clock.elapsed() + PATIENCE_MS;
    try {
      await ask();
      this.#againAtMs = Number.NEGATIVE_INFINITY;
    } catch {
      this.#againAtMs = this.#clock.elapsed() + RETRY_MS;
    }
  }
}
