import type { Clock, Period, PeriodScheme, Tally } from "@usage/counter-core";
import type { Rows } from "@usage/counter-core/internal";
import { bucketOf } from "../server/keys.ts";
import { sharedUntilMs } from "../server/retention.ts";
import type { SharedCounts } from "../server/shared-counts.ts";
import type { BucketState } from "./bucket-state.ts";
import type { Chores } from "./chores.ts";
import type { RedisEvent } from "./events.ts";
import type { Exchanges } from "./exchanges.ts";
import { type Found, LateRuns } from "./late-runs.ts";
import type { Replication } from "./replication.ts";

export interface FlushesParts {
  readonly run: string;
  readonly rows: Rows;
  readonly periods: PeriodScheme;
  readonly clock: Clock;
  readonly counts: SharedCounts;
  readonly exchanges: Exchanges;
  readonly replication: Replication;
  readonly chores: Chores;
  readonly emit: (event: RedisEvent) => void;
}

/** What a flush has taken. */
interface Taken {
  readonly own: readonly Tally[];
  readonly found: readonly Found[];
  /** What of ours was pushed by then: the tallies that were taken are at least as large. */
  readonly seen: readonly { readonly bucket: BucketState; readonly epoch: string; readonly version: number }[];
}

/** What a flush to the store has to do with Redis: it takes along what others owe, and reports there what is stored. */
export class Flushes {
  readonly #parts: FlushesParts;
  readonly #lateRuns: LateRuns;
  /** What cannot be read, by period and backend, and why. */
  readonly #refusals = new Map<string, string>();
  #hasLookedBack = false;
  #isStoreLost = false;
  #taken: Taken | undefined;
  #finding: Promise<readonly Found[]> | undefined;

  constructor(parts: FlushesParts) {
    this.#parts = parts;
    const { run, counts, exchanges, clock } = parts;
    this.#lateRuns = new LateRuns({
      run,
      counts,
      exchanges,
      clock,
      note: (period, backend, error) => this.#note(period, backend, error),
    });
  }

  /** The store has lost something that it had: what others shared may be owed to it again. */
  storeLost(): void {
    // fault: does not look again for what others had in a store that lost it
    this.#isStoreLost = true;
  }

  /**
   * What others owe the store. Does not reject: what cannot be read now is found at a later flush. One that was given up has left it
   * under way: the next one waits for the same, so that they do not pile up where Redis is slow.
   */
  find(): Promise<readonly Found[]> {
    // fault: each flush looks for itself for what others owe
    this.#finding ??= this.#find().finally(() => {
      this.#finding = undefined;
    });
    return this.#finding;
  }

  async #find(): Promise<readonly Found[]> {
    let found: readonly Found[] = [];
    await this.#parts.chores.run("reconcile", async (failed) => {
      if (this.#isStoreLost) await this.#oweAll(failed);
      let isComplete = true;
      found = await this.#lateRuns.find(this.#periods(), (error) => {
        isComplete = false;
        failed(error);
      });
      this.#hasLookedBack ||= isComplete;
    });
    return found;
  }

  /** All that goes to the store. To be called at the instant at which the own tallies are taken. */
  take(own: readonly Tally[], found: readonly Found[]): readonly Tally[] {
    // Whatever of ours has a version up to that is in them.
    const seen = this.#parts.replication.periods().flatMap(({ buckets }) => {
      return buckets
        .filter(({ owes }) => owes)
        .map((bucket) => ({ bucket, epoch: bucket.epoch, version: bucket.seen }));
    });
    this.#taken = { own, found, seen };
    const keys = new Set(found.length === 0 ? [] : own.map(keyOf));
    return [...own, ...found.flatMap(({ tallies }) => tallies.filter((tally) => !keys.has(keyOf(tally))))];
  }

  /** The store has these. */
  async stored(stored: readonly Tally[], isSharing: boolean): Promise<void> {
    const taken = this.#taken;
    this.#taken = undefined;
    if (taken === undefined || !isSharing) return;
    await this.#parts.chores.run("report", (failed) => this.#report(taken, stored, failed));
  }

  /** Tells Redis what is stored: everything of a bucket, or nothing of it. */
  async #report(
    { own, found, seen }: Taken,
    stored: readonly Tally[],
    failed: (error: unknown) => void,
  ): Promise<void> {
    const { counts, exchanges, run } = this.#parts;
    const keys = new Set(stored.map(keyOf));
    // fault: reports as stored what the store refused
    const refused = new Set(
      own.filter((tally) => !keys.has(keyOf(tally))).map(({ period, backend }) => `${period} ${bucketOf(backend)}`),
    );
    // fault: a flush reports what was pushed while it was under way
    const mine = seen
      .filter(({ bucket }) => !refused.has(`${bucket.period.key} ${bucket.number}`))
      .map(({ bucket, epoch, version }) => {
        const done = (): void => {
          bucket.owes = bucket.seen > version;
        };
        return { bucket, epoch, run, version, done };
      });
    // fault: reports as stored what was found and the store refused
    const others = found
      .filter(({ tallies, isWhole }) => isWhole && tallies.every((tally) => keys.has(keyOf(tally))))
      .map(({ bucket, epoch, owed }) => ({ bucket, epoch, run: owed.run, version: owed.last, done: () => {} }));
    await exchanges.eachInTime(
      [...mine, ...others],
      ({ bucket, epoch, run: who, version }) => counts.report(bucket, epoch, [{ run: who, version }]),
      ({ done }) => done(),
      (_, error) => failed(error),
    );
  }

  async #oweAll(failed: (error: unknown) => void): Promise<void> {
    const current = this.#parts.replication.current().cells.period;
    let isComplete = true;
    await this.#lateRuns.oweAll([current, this.#parts.periods.at(current.start - 1)], (error) => {
      isComplete = false;
      failed(error);
    });
    if (isComplete) this.#isStoreLost = false;
  }

  /** The current one and the one before; at first, all that may still be shared. */
  #periods(): readonly Period[] {
    const { clock, periods, replication } = this.#parts;
    const nowMs = clock.now();
    const looked = [replication.current().cells.period];
    for (;;) {
      const before = periods.at((looked.at(-1) as Period).start - 1);
      // fault: looks only at what is owed in the current period
      if (nowMs >= sharedUntilMs(before)) return looked;
      looked.push(before);
      if (this.#hasLookedBack) return looked;
    }
  }

  /** Tells once of counts that cannot be read, unless the pushes do, which try those of our own backends. */
  #note(period: Period, backend: string, error: Error | undefined): void {
    const { replication, rows, emit } = this.#parts;
    const key = JSON.stringify([period.key, backend]);
    const told = this.#refusals.get(key);
    if (error === undefined) this.#refusals.delete(key);
    else this.#refusals.set(key, error.message);
    if (error === undefined || told === error.message) return;
    const row = rows.find(backend);
    const current = replication.current();
    const isPushed = current.cells.period.start === period.start && row !== undefined && current.isRefused(row);
    // fault: passes over in silence what cannot be read
    if (!isPushed) emit({ kind: "refused", period: period.key, backends: [backend], error });
  }
}

function keyOf({ writer, period, backend }: Tally): string {
  return JSON.stringify([writer, period, backend]);
}
