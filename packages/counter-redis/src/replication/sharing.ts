import type { Clock, PeriodScheme, Standing } from "@usage/counter-core";
import { Emitter, type HeapPeriods, type Rows, type Tallies } from "@usage/counter-core/internal";
import { type EnforcementOptions, isExactBy, type ReplicationOptions } from "../options.ts";
import type { SharedCounts } from "../server/shared-counts.ts";
import { BucketCalls } from "./bucket-calls.ts";
import { Chores } from "./chores.ts";
import { Discards } from "./discards.ts";
import type { RedisEvent } from "./events.ts";
import { Exchanges } from "./exchanges.ts";
import { Flushes } from "./flushes.ts";
import { Forgiving } from "./forgiving.ts";
import { Hydration } from "./hydration.ts";
import { NextPeriod } from "./next-period.ts";
import { Polls } from "./polls.ts";
import { Pushes } from "./pushes.ts";
import { Recall } from "./recall.ts";
import { Replication } from "./replication.ts";
import { Ripening } from "./ripening.ts";
import { Rounds, SYNC_INTERVAL_MS } from "./rounds.ts";
import { StoreAccess } from "./store-access.ts";

export const PUSH_TIMEOUT_MS = 1_000;
const LEASE_MS = 10_000;

/** What of the counter is shared. */
export interface SharingParts {
  readonly run: string;
  readonly dimensions: readonly string[];
  readonly rows: Rows;
  readonly periods: HeapPeriods;
  readonly scheme: PeriodScheme;
  readonly tallies: Tallies;
  readonly clock: Clock;
  /** Something of a row may be free that was not. */
  readonly freed: (row: number) => void;
}

/** What shares the counts of a counter, put together. */
export class Sharing {
  readonly isExact: boolean;
  readonly leaseMs: number;
  readonly events: Emitter<RedisEvent> = new Emitter();
  readonly counts: SharedCounts;
  readonly exchanges: Exchanges;
  readonly replication: Replication;
  readonly rounds: Rounds;
  readonly hydration: Hydration;
  readonly flushes: Flushes;
  readonly recall: Recall;
  readonly forgiving: Forgiving;
  readonly chores: Chores;
  readonly store: StoreAccess;
  readonly #parts: SharingParts;
  readonly #discards: Discards;
  #closing: Promise<void> | undefined;

  /** @throws RangeError for an option that is out of range. */
  constructor(parts: SharingParts, counts: SharedCounts, options: ReplicationOptions & EnforcementOptions) {
    const { run, dimensions, rows, periods, scheme, tallies, clock, freed } = parts;
    const { leaseMs = LEASE_MS, forgiveAfterMs, claim } = options;
    const { pushTimeoutMs = PUSH_TIMEOUT_MS, syncIntervalMs = SYNC_INTERVAL_MS } = options;
    const isExact = isExactBy(options);
    const emit = (event: RedisEvent): void => this.events.emit(event);
    const isSharing = (): boolean => this.isSharing;
    const exchanges = new Exchanges(clock, pushTimeoutMs);
    const calls = new BucketCalls(counts, exchanges);
    const hasten = (): void => this.rounds.hasten();
    const slices = { periods, isExact, leaseMs, syncIntervalMs, freed, hasten };
    const replication = new Replication({ rows, periods, tallies, clock, emit, slices });
    const chores = new Chores(emit);
    const pushes = new Pushes({ run, rows, tallies, clock, counts, calls, replication });
    const polls = new Polls({ rows, clock, counts, exchanges, calls, replication });
    this.#parts = parts;
    this.isExact = isExact;
    this.leaseMs = leaseMs;
    this.counts = counts;
    this.exchanges = exchanges;
    this.replication = replication;
    this.chores = chores;
    this.hydration = new Hydration(replication, pushes, rows, dimensions.length, clock);
    this.flushes = new Flushes({ run, rows, periods: scheme, clock, counts, exchanges, replication, chores, emit });
    this.recall = new Recall({ run, dimensions, counts, calls, replication, clock, isSharing, isExact });
    this.#discards = new Discards(counts, exchanges, replication);
    const dead = { rows, dimensions, clock, counts, exchanges, calls, replication, chores, emit, isSharing };
    this.forgiving = new Forgiving({ ...dead, leaseMs, forgiveAfterMs });
    this.store = new StoreAccess(claim);
    const { store, hydration } = this;
    const ripening = new Ripening({ counts, calls, clock, leaseMs, store });
    const opening = { run, size: dimensions.length, rows, scheme, clock, leaseMs, counts, calls, replication, store };
    const nextPeriod = new NextPeriod({ ...opening, ripening });
    const ready = async (): Promise<void> => {
      if (!isExact) return;
      const shared = replication.current();
      // Not in turn with exchanges: a store that hangs holds up nothing.
      if (store.read !== undefined) void hydration.work(shared, store.read);
      const used = shared.buckets.filter((bucket) => replication.rowsOf(bucket).length > 0);
      await ripening.work(used, (bucket) => replication.slices.ripened(shared, bucket));
      await nextPeriod.work();
    };
    const tend = (): Promise<void> => {
      this.forgiving.tend();
      return chores.run("discard", (failed) => this.#discards.work(failed));
    };
    this.rounds = new Rounds({ replication, pushes, polls, clock, emit, ready, tend }, options);
  }

  /** Whether what is counted is being shared. */
  get isSharing(): boolean {
    return this.rounds.isHealthy && this.#closing === undefined;
  }

  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  /** What exact limits of a row are worth now. */
  standing(row: number): Pick<Standing, "asOf" | "problem"> {
    const { slices } = this.replication;
    const shared = this.replication.current();
    const problem = this.isSharing ? slices.problemOf(shared, row) : "offline";
    return problem === undefined ? { asOf: slices.usableUntilMs(shared, row) } : { problem };
  }

  /** What all instances shared of a backend is deleted, in every period that is held and the one before the current one. */
  discard(backend: string, row: number): void {
    const { periods, scheme } = this.#parts;
    for (const shared of this.replication.periods()) this.replication.slices.clear(shared, row);
    const before = scheme.at(periods.current().period.start - 1);
    this.#discards.add(backend, [before, ...periods.all().map(({ period }) => period)]);
  }

  /** Shares what is left, as far as possible, and ends. */
  close(): Promise<void> {
    this.replication.slices.close();
    this.#closing ??= this.rounds.stop().finally(() => this.counts.close?.());
    return this.#closing;
  }
}
