/** The dimensions that are counted unless the user names others. Egress comes out of the backend, ingress goes into it. */
export const STORAGE_DIMENSIONS = ["apiRequests", "egressBytes", "ingressBytes"] as const;

export type StorageDimension = (typeof STORAGE_DIMENSIONS)[number];

/** An amount per dimension. Amounts are non-negative safe integers, in the dimension's own unit (requests, bytes, tokens). */
export type Usage<D extends string = StorageDimension> = { readonly [dimension in D]: number };

/**
 * What one writer has counted for one backend in one period: cumulative, so it only ever grows, and two versions of the
 * same tally are merged by taking the larger amount of each dimension. A dimension that is absent is zero.
 */
export interface Tally {
  /** The only one who increases these amounts: one run of one process. */
  readonly writer: string;
  /** The key of the period in which the usage was recorded. */
  readonly period: string;
  readonly backend: string;
  readonly usage: Readonly<Record<string, number>>;
}

/** The amount of one dimension; zero where it is absent. A dimension may be called `constructor`, as every object has one. */
export function amountOf(usage: Readonly<Record<string, number>>, dimension: string): number {
  return Object.hasOwn(usage, dimension) ? (usage[dimension] as number) : 0;
}

/** A backend's stored usage in one period, both parts from the same read. */
export interface StoredUsage<D extends string = StorageDimension> {
  /** The sum over all writers. */
  readonly all: Usage<D>;
  /** The part of it that the asking writer counted. */
  readonly own: Usage<D>;
}

/** What all writers together used of one backend in one period. A dimension that is absent is zero. */
export interface PeriodUsage {
  /** The period's key. */
  readonly period: string;
  readonly backend: string;
  readonly usage: Readonly<Record<string, number>>;
}

/** Whether `value` is a non-negative safe integer. */
export function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
