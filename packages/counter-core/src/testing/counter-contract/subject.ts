import type { CounterBackend } from "../../counter.ts";
import type { StoredUsage, Tally, Usage } from "../../model/usage.ts";
import type { ManualClock } from "../manual-clock.ts";

/** Runs a test on a fresh counter, and disposes of it. The backends are `oci` and `b2` unless others are named. */
export type WithCounter = (
  work: (counter: CounterBackend, clock: ManualClock) => void | Promise<void>,
  backends?: readonly string[],
) => Promise<void>;

export const ZERO: Usage = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };

/** A tally of `oci` by the counter itself. */
export function ownTally(counter: CounterBackend, period: string, usage: Partial<Usage>): Tally {
  return { writer: counter.writer, period, backend: "oci", usage };
}

/** A store that holds requests of one backend, `own` of them by the asking writer. */
export function storedUsage(backend: string, all: number, own: number): ReadonlyMap<string, StoredUsage> {
  return new Map([[backend, { all: { ...ZERO, apiRequests: all }, own: { ...ZERO, apiRequests: own } }]]);
}
