import type { StoredUsage, Tally } from "@usage/counter-core";
import type { TallyRow } from "./tally-rows.ts";

/** A backend's usage in one period, `own` of one writer; in every stored dimension, at most 2^53-1 each, from one read. */
export interface BackendUsage extends StoredUsage<string> {
  readonly backend: string;
}

/**
 * What the table `usage_tallies` can do in one dialect of SQL. Everything rejects with `StoreError` or one of its kin.
 * Answers of many rows come in pages that do not hold the event loop; whoever reads them lets it turn in between.
 */
export interface UsageTable {
  /** Rows of one `upsert` that do not hold the event loop for longer than a few milliseconds. */
  readonly rowsPerChunk: number;
  /** Whether a chunk is sent while the one before it is under way. */
  readonly pipelined: boolean;
  /** Matches the driver's code when the database refuses a row for ever. */
  readonly refusal: RegExp;
  /** Keeps the larger amount of each row, all rows or none; writes nothing where nothing grew. The same key may come twice. */
  upsert(rows: readonly TallyRow[], signal: AbortSignal | undefined): Promise<void>;
  /** The first period after `from` (or `from` itself where `included`) up to `to`, by the bytes of their keys. */
  periodBetween(from: string, to: string | undefined, included: boolean): Promise<string | undefined>;
  /** Of all backends or of one, ordered by the bytes of their names. */
  usage(period: string, writer: string, backend?: string): AsyncIterable<readonly BackendUsage[]>;
  /** The rows of the backends, which are all different; each backend's from one read. */
  tallies(period: string, backends: readonly string[]): AsyncIterable<readonly Tally[]>;
  remove(period: string, backend: string): Promise<void>;
}
