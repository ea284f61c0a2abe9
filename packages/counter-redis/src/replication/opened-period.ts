import type { Period } from "@usage/counter-core";
import { BUCKETS, bucketOf } from "../server/keys.ts";
import { BucketState } from "./bucket-state.ts";

/** What is known of the shared counts of a period that has not begun. */
export class OpenedPeriod {
  readonly period: Period;
  readonly buckets: readonly BucketState[];
  /** What the last reply showed of a backend, in its bucket's epoch. */
  readonly known: Map<string, { readonly exists: boolean; readonly isWhole: boolean }> = new Map();

  constructor(period: Period) {
    this.period = period;
    this.buckets = Array.from({ length: BUCKETS }, (_, number) => new BucketState(period, number));
  }

  bucketOf(backend: string): BucketState {
    return this.buckets[bucketOf(backend)] as BucketState;
  }

  isReady(backend: string): boolean {
    return this.bucketOf(backend).isRipe && this.known.get(backend)?.isWhole === true;
  }
}
