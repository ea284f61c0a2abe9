import type { Clock } from "@usage/counter-core";
import { assertDelay } from "@usage/counter-core/internal";
import type { BucketState } from "./bucket-state.ts";
import type { PeriodSlices } from "./period-slices.ts";
import type { SharedPeriod } from "./shared-period.ts";

/** How often leases are looked at, as a part of them. */
const LOOKS = 100;
/** How much longer than a lease: clocks do not run alike. */
const MARGIN = 1.05;

/** How long it takes until a lease has surely ended by every clock, in milliseconds. */
export function outlasting(leaseMs: number): number {
  return MARGIN * leaseMs;
}

export interface LeasesParts {
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly bucketOf: (shared: SharedPeriod, row: number) => BucketState;
}

/**
 * How long slices may be used: for `leaseMs` after the last answered exchange, that showed the epoch in which the row was last
 * pushed, was sent. Then it is suspended until the shared counts show that nobody's slice is missing there.
 */
export class Leases {
  readonly #parts: LeasesParts;
  /** Periods of which something is active. */
  readonly #watched = new Set<PeriodSlices>();
  #isTicking = false;

  /** @throws RangeError for a `leaseMs` that is out of range. */
  constructor(parts: LeasesParts) {
    assertDelay("leaseMs", parts.leaseMs);
    this.#parts = parts;
  }

  /** Suspends from now on what is active and not heard of in time. */
  watch(slices: PeriodSlices): void {
    this.#watched.add(slices);
    if (!this.#isTicking) this.#tick();
  }

  /** An exchange that was sent then showed the epoch that is known. */
  served(slices: PeriodSlices, bucket: BucketState, sentAtMs: number): void {
    const { clock, leaseMs } = this.#parts;
    // Who has been silent for too long already does not go on by being heard again.
    if (clock.elapsed() >= bucket.servedAtMs + leaseMs) this.#suspendLate(slices);
    bucket.servedAtMs = Math.max(bucket.servedAtMs, sentAtMs);
  }

  /** The bucket is about to begin anew: what its rows have must be pushed again before their leases go on. */
  renewed({ unannounced, active }: PeriodSlices, bucket: BucketState, rows: readonly number[]): void {
    for (const row of rows) {
      // fault: suspends at once what was pushed before the bucket began anew
      if (active.has(row) && !unannounced.has(row)) unannounced.set(row, bucket.servedAtMs);
    }
  }

  /**
   * A push of the row was answered: its lease goes on, or begins again where `canResume`. Returns whether it was suspended and is
   * not any more.
   */
  announced(slices: PeriodSlices, row: number, canResume: boolean): boolean {
    if (this.#isLate(slices, row)) this.#suspend(slices, row);
    // fault: who was silent goes on where others' slices may be missing
    if (slices.suspended.has(row) && !canResume) return false;
    slices.unannounced.delete(row);
    return slices.suspended.delete(row);
  }

  /** Until when a row may be used without another exchange, by `Clock.elapsed`. */
  endOf({ shared, unannounced }: PeriodSlices, row: number): number {
    const { leaseMs, bucketOf } = this.#parts;
    return (unannounced.get(row) ?? bucketOf(shared, row).servedAtMs) + leaseMs;
  }

  #tick(): void {
    this.#isTicking = true;
    this.#parts.clock.after(Math.max(1, this.#parts.leaseMs / LOOKS), () => {
      for (const slices of this.#watched) {
        this.#suspendLate(slices);
        if (slices.active.size === 0) this.#watched.delete(slices);
      }
      if (this.#watched.size > 0) this.#tick();
      else this.#isTicking = false;
    });
  }

  #suspendLate(slices: PeriodSlices): void {
    for (const row of slices.active.keys()) if (this.#isLate(slices, row)) this.#suspend(slices, row);
  }

  #isLate(slices: PeriodSlices, row: number): boolean {
    // fault: a lease never ends
    return this.#parts.clock.elapsed() >= this.endOf(slices, row);
  }

  #suspend(slices: PeriodSlices, row: number): void {
    const { suspended, pairs, shared } = slices;
    if (suspended.has(row)) return;
    // Who has no slice, and no hold that could become one, has nothing to stop.
    if (slices.cellsOf(row).every((cell) => pairs.ceiling(cell) <= shared.cells.mine(cell))) return;
    suspended.add(row);
    slices.open(row);
    shared.apply(row, { kind: "changed" });
  }
}
