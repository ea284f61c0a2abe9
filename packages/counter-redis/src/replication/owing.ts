import { type Clock, isWrittenBy, type Period, type Tally } from "@usage/counter-core";
import type { Bucket } from "../server/keys.ts";
import { BUCKETS } from "../server/keys.ts";
import type { Owed, SharedCounts } from "../server/shared-counts.ts";
import type { Exchanges } from "./exchanges.ts";

/** Hashes that are read in one call. */
const READ_AT_ONCE = 100;
/** Whoever lives has stored by then what it counted in a period that is over. */
const STORED_WITHIN_MS = 60_000;
/** Everybody, where a bucket lost its books or the store its rows. */
const EVERYBODY = "*";

/** Tallies that somebody else shared and does not store, and what can be reported once they are stored. */
export interface Found {
  readonly bucket: Bucket;
  readonly epoch: string;
  readonly owed: Owed;
  readonly tallies: readonly Tally[];
}

export interface OwingParts {
  readonly run: string;
  readonly counts: SharedCounts;
  readonly exchanges: Exchanges;
  readonly clock: Clock;
}

/**
 * Finds what others shared and do not store, because they died. Each run notes in a bucket since which version its pushes are
 * not known to be stored, and moves that with its flushes. What stands still from one flush of ours to the next is late, and so is
 * all that is left of a period that has been over for a while; then its tallies are read and go with our flush. A wrong suspicion stores twice, which changes nothing.
 */
export class Owing {
  readonly #parts: OwingParts;
  /** Where each run stood at the last flush, by period, bucket and run. */
  #noted: ReadonlyMap<string, string> = new Map();

  constructor(parts: OwingParts) {
    this.#parts = parts;
  }

  /** @param periods Those that are looked at. Rejects when Redis cannot be reached; the next flush looks again. */
  async find(periods: readonly Period[]): Promise<readonly Found[]> {
    const { run, clock } = this.#parts;
    const nowMs = clock.now();
    const noted = new Map<string, string>();
    const late: Omit<Found, "tallies">[] = [];
    for (const { bucket, epoch, owed } of await this.#owing(periods)) {
      if (owed.run === run) continue;
      const place = JSON.stringify([bucket.period.start, bucket.number, owed.run]);
      const stand = `${epoch} ${owed.since}`;
      noted.set(place, stand);
      const isOver = nowMs - bucket.period.end >= STORED_WITHIN_MS;
      // fault: nobody looks at what dead runs owe
      if (isOver || owed.run === EVERYBODY || this.#noted.get(place) === stand) late.push({ bucket, epoch, owed });
    }
    this.#noted = noted;
    const found: Found[] = [];
    for (const one of late) found.push({ ...one, tallies: await this.#talliesOf(one) });
    return found;
  }

  async #owing(periods: readonly Period[]): Promise<readonly Omit<Found, "tallies">[]> {
    const { counts, exchanges } = this.#parts;
    const all: Omit<Found, "tallies">[] = [];
    for (const period of periods) {
      const buckets = Array.from({ length: BUCKETS }, (_, number): Bucket => ({ period, number }));
      const failures = await exchanges.each(
        buckets,
        (bucket) => counts.owing(bucket),
        (bucket, { epoch, owed }) => void all.push(...owed.map((one) => ({ bucket, epoch, owed: one }))),
      );
      // In a cluster, what is on a node that is away is looked at once it is back.
      const [error] = failures.values();
      if (failures.size === buckets.length) throw error;
    }
    return all;
  }

  async #talliesOf({ bucket, owed }: Omit<Found, "tallies">): Promise<readonly Tally[]> {
    const { counts, exchanges } = this.#parts;
    // fault: what a dead run owes is sought from its last push on
    const names = await exchanges.run(() => counts.changedSince(bucket, owed.since), same);
    const tallies: Tally[] = [];
    for (let start = 0; start < names.length; start += READ_AT_ONCE) {
      const part = names.slice(start, start + READ_AT_ONCE);
      tallies.push(...(await exchanges.run(() => counts.tallies(bucket, part), same)));
    }
    return owed.run === EVERYBODY ? tallies : tallies.filter((tally) => isWrittenBy(tally, owed.run));
  }
}

function same<T>(value: T): T {
  return value;
}
