import type { CounterBackend, UsageStore } from "@usage/counter-core";

/** What a tracker counts with: any counter, but for the way of those who keep their own books. */
export interface TrackedCounter<D extends string> extends Omit<CounterBackend<D>, "swap"> {
  /** Is told of the store when a tracker is made, where the counter notes and reads something there by itself. */
  bind?(store: Pick<UsageStore, "claim" | "tallies">): void;
}
