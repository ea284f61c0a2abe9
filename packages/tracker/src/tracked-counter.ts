import type { CounterBackend } from "@usage/counter-core";

/** What a tracker counts with: any counter, but for the way of those who keep their own books. */
export type TrackedCounter<D extends string> = Omit<CounterBackend<D>, "swap">;
