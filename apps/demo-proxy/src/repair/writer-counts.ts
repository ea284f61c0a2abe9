import type { Period, Tally, UsageStore } from "@usage/counter-core";
import type { ReadReply } from "@usage/counter-redis";

/** What one writer has of one dimension, in each of the two places; undefined where there is nothing. */
export interface WriterCount {
  readonly writer: string;
  readonly dimension: string;
  readonly shared: number | undefined;
  readonly stored: number | undefined;
}

/** What is known of one backend in one period. */
export interface WriterCounts {
  /** The largest first. */
  readonly counts: readonly WriterCount[];
  /** The tallies in Redis. */
  readonly shared: readonly Tally[];
  /** Why some of what is in Redis cannot be used. */
  readonly problem: Error | undefined;
}

export interface Places {
  readonly store: Pick<UsageStore, "tallies" | "merge">;
  /** Absent where counts are not shared. */
  readonly shared?: SharedPlace;
}

/** What is shared of one backend in one period. */
export interface SharedPlace {
  read(): Promise<ReadReply | undefined>;
  /** Deletes it. Instances that still run notice that, and share again what they counted. */
  forget(): Promise<void>;
}

/** Reads what each writer has of a backend, in the store and in Redis. */
export async function readWriterCounts(
  { store, shared: place }: Places,
  period: Period,
  backend: string,
): Promise<WriterCounts> {
  const stored = await store.tallies(period.key, [backend]);
  const read = await place?.read();
  const shared = read?.tallies ?? [];
  const rows = new Map<string, WriterCount>();
  const note = (tallies: readonly Tally[], place: "shared" | "stored"): void => {
    for (const { writer, usage } of tallies) {
      for (const [dimension, amount] of Object.entries(usage)) {
        const key = JSON.stringify([writer, dimension]);
        const known = rows.get(key) ?? { writer, dimension, shared: undefined, stored: undefined };
        rows.set(key, { ...known, [place]: amount });
      }
    }
  };
  note(stored, "stored");
  note(shared, "shared");
  const counts = [...rows.values()].sort((a, b) => amountOf(b) - amountOf(a));
  return { counts, shared, problem: read?.error };
}

function amountOf({ shared = 0, stored = 0 }: WriterCount): number {
  return Math.max(shared, stored);
}
