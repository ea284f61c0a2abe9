import type { Clock, Limits, StorageDimension, UsageStore } from "@usage/counter-core";
import type { LimitsSource } from "./limits.ts";

export interface UsageTrackerOptions<D extends string = StorageDimension> {
  /** Where counts are kept. Whoever opened it closes it. */
  readonly store: UsageStore<D>;
  /** By name, or a function of the name. @default no limits */
  readonly limits?: LimitsSource<D>;
  /** Of a backend for which `limits` has none. @default no limits */
  readonly defaults?: Limits<D>;
  /** What `ensure` does while the store cannot be read: reject, or admit a backend with what is known of it. @default "reject" */
  readonly whenUnknown?: "reject" | "admit";
  /** How long `ensure` and `refresh` may wait for the store, in milliseconds. @default 30_000 */
  readonly readTimeoutMs?: number;
  /** @default systemClock */
  readonly clock?: Clock;
}
