import { type Clock, isWrittenBy, type Period, type Tally } from "@usage/counter-core";
import { BUCKETS, type Bucket } from "../server/keys.ts";
import { isOutage } from "../server/outage.ts";
import type { Owed, Owing, ReadReply, SharedCounts } from "../server/shared-counts.ts";
import type { Exchanges } from "./exchanges.ts";

/** Hashes that are read in one call. */
const READ_AT_ONCE = 100;
/** Whoever lives has stored by then what it counted in a period that is over. */
const STORED_WITHIN_MS = 60_000;
/** Everybody, where a bucket lost its books or the store its rows. */
const EVERYBODY = "*";

/** Tallies that somebody else shared and does not store, and what can be reported once they are stored. */
export interface Found extends Debt {
  readonly tallies: readonly Tally[];
  /** Whether all of it could be read; otherwise it stays owed. */
  readonly isWhole: boolean;
}

interface Debt {
  readonly bucket: Bucket;
  readonly epoch: string;
  readonly owed: Owed;
}

interface Look {
  readonly bucket: Bucket;
  readonly owing: Owing | undefined;
}

export interface LateRunsParts {
  readonly run: string;
  readonly counts: SharedCounts;
  readonly exchanges: Exchanges;
  readonly clock: Clock;
  /** Is told of each backend that was read, and of what is wrong with it if anything is. */
  readonly note: (period: Period, backend: string, error: Error | undefined) => void;
}

/**
 * Finds what others shared and do not store, because they died. Each run notes in a bucket since which version its pushes are
 * not known to be stored, and moves that with its flushes. What stands still from one flush of ours to the next is late, and so is
 * all that is left of a period that has been over for a while; then its tallies are read and go with our flush. A wrong suspicion
 * stores twice, which changes nothing.
 */
export class LateRuns {
  readonly #parts: LateRunsParts;
  /** What was owed at the last flush, by bucket. */
  #noted: ReadonlyMap<string, Owing> = new Map();

  constructor(parts: LateRunsParts) {
    this.#parts = parts;
  }

  /**
   * @param periods - Those that are looked at.
   * @param failed - Is told what fails; what is there besides is found all the same, and the next flush looks again.
   */
  async find(periods: readonly Period[], failed: (error: unknown) => void): Promise<readonly Found[]> {
    const { run, clock } = this.#parts;
    const nowMs = clock.now();
    const late: Debt[] = [];
    const looks = await this.#look(periods, failed);
    for (const [place, { bucket, owing }] of looks) {
      const noted = this.#noted.get(place);
      const isOver = nowMs - bucket.period.end >= STORED_WITHIN_MS;
      for (const owed of owing?.owed ?? []) {
        if (owing === undefined || owed.run === run) continue;
        const isStill =
          noted?.epoch === owing.epoch && noted.owed.some((one) => one.run === owed.run && one.since === owed.since);
        // fault: nobody looks at what dead runs owe
        if (isOver || owed.run === EVERYBODY || isStill) late.push({ bucket, epoch: owing.epoch, owed });
      }
      // What could not be asked now stands where it stood.
      if (owing === undefined && noted !== undefined) looks.set(place, { bucket, owing: noted });
    }
    this.#noted = new Map(
      Array.from(looks).flatMap(([place, { owing }]) => (owing === undefined ? [] : [[place, owing]])),
    );
    const found: Found[] = [];
    for (const debt of late) {
      try {
        found.push(await this.#read(debt));
      } catch (error) {
        failed(error);
        // Each of those that are left would wait in vain as well; the next flush looks again.
        if (isOutage(error) && !this.#parts.counts.isDivided) break;
      }
    }
    return found;
  }

  /** Whatever was stored may be lost: everybody owes everything that is shared in these periods. */
  async oweAll(periods: readonly Period[], failed: (error: unknown) => void): Promise<void> {
    const { counts, exchanges } = this.#parts;
    const buckets = periods.flatMap(bucketsOf);
    await exchanges.eachInTime(
      buckets,
      (bucket) => counts.oweAll(bucket),
      () => {},
      (_, error) => failed(error),
    );
  }

  /** Who owes what, by bucket; undefined where it could not be asked. */
  async #look(periods: readonly Period[], failed: (error: unknown) => void): Promise<Map<string, Look>> {
    const { counts, exchanges } = this.#parts;
    const looks = new Map<string, Look>();
    let isAway = false;
    for (const period of periods) {
      const buckets = bucketsOf(period);
      for (const bucket of buckets) looks.set(placeOf(bucket), { bucket, owing: undefined });
      // One wait for a Redis that is away is enough.
      if (isAway) continue;
      isAway = true;
      // fault: a flush that asks a node that hangs holds up the counts of all
      await exchanges.eachInTime(
        buckets,
        (bucket) => counts.owing(bucket),
        (bucket, owing) => {
          isAway = false;
          looks.set(placeOf(bucket), { bucket, owing });
        },
        (_, error) => failed(error),
      );
    }
    return looks;
  }

  async #read(debt: Debt): Promise<Found> {
    const { counts, exchanges, note } = this.#parts;
    const { bucket, owed } = debt;
    // fault: what a dead run owes is sought from its last push on
    const names = await exchanges.inTime(() => counts.changedSince(bucket, owed.since));
    const tallies: Tally[] = [];
    let isWhole = true;
    for (let start = 0; start < names.length; start += READ_AT_ONCE) {
      const part = names.slice(start, start + READ_AT_ONCE);
      const replies = await exchanges.inTime(() => counts.tallies(bucket, part));
      part.forEach((backend, i) => {
        const { tallies: read, error } = replies[i] as ReadReply;
        tallies.push(...read);
        if (error !== undefined) isWhole = false;
        note(bucket.period, backend, error);
      });
    }
    const owing = owed.run === EVERYBODY ? tallies : tallies.filter((tally) => isWrittenBy(tally, owed.run));
    return { ...debt, tallies: owing, isWhole };
  }
}

function bucketsOf(period: Period): readonly Bucket[] {
  return Array.from({ length: BUCKETS }, (_, number) => ({ period, number }));
}

function placeOf({ period, number }: Bucket): string {
  return `${period.start} ${number}`;
}
