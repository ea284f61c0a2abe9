import type { UsageStore } from "@usage/counter-core";

/** One row of `usage_tallies`, as a program would send it that keeps no tallies: period, backend, dimension, writer, amount. */
export interface UsageRow {
  readonly period: string;
  readonly backend: string;
  readonly dimension: string;
  readonly writer: string;
  readonly amount: number;
}

/** A database with the table of `usage_tallies`, and three ways into it. */
export interface FlushTarget {
  readonly store: UsageStore;
  /** The same tables, and usage by hour beside them. */
  readonly timed: UsageStore;
  /** All rows in the fastest plain way that the driver offers. */
  upsertAll(rows: readonly UsageRow[]): Promise<void>;
  /** The rows of one backend, as one statement that is a transaction of its own. */
  upsertBackend(rows: readonly UsageRow[]): Promise<void>;
  /** All that is stored was stored an hour ago: what was stored just now may be read once more, since it may have been committed late. */
  age(): Promise<void>;
  /** Empties the table. */
  clear(): Promise<void>;
  close(): Promise<void>;
}
