import { PeriodFoldedError, type RejectedTally, type Tally, type UsageStore } from "@usage/counter-core";
import type { PeriodCells } from "@usage/counter-core/internal";
import {
  type Bucket,
  type Changes,
  type ClaimOpened,
  type ForgivenAmounts,
  type MergeItem,
  type MergeReply,
  type Owing,
  type ReadReply,
  RedisCounterBackend,
  type SharedCounts,
  type Silent,
  type StoredUpTo,
} from "@usage/counter-redis";
import { UsageFlusher, UsageTracker } from "@usage/tracker";
import { LEASE_MS, limitsOf } from "./exact-limits.ts";
import type { ExactUse } from "./exact-use.ts";
import type { Machine } from "./machine.ts";
import type { ModelRedis } from "./model-redis.ts";
import type { ModelStore } from "./model-store.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";

/** Every instance has them from the start; both are in one bucket. */
export const BACKENDS = ["oci", "leo"] as const;
export const DIMENSIONS = ["requests", "bytes"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

const RETRY_MS = 200;

export interface Surroundings {
  readonly redis: ModelRedis;
  readonly toRedis: Network;
  readonly store: ModelStore;
  readonly toStore: Network;
  /** The probability that a merge stops half-way. */
  readonly storeFails: () => number;
  readonly isStoreReadOnly: () => boolean;
  readonly random: Random;
  /** What is really used, where limits are exact. */
  readonly exactUse: ExactUse | undefined;
}

/** One run of one process: the real counter, tracker and flusher, on a machine and networks that fail. */
export class Instance {
  readonly name: string;
  readonly machine: Machine;
  readonly counter: OpenedCounter;
  readonly tracker: UsageTracker<Dimension>;
  readonly flusher: UsageFlusher<Dimension>;
  /** What it does with a backend while the store cannot be read. */
  readonly whenUnknown: "admit" | "reject";
  /** What it works with where limits are exact, in requests. */
  limit: number;
  #phase: "starting" | "ready" | "stopping" | "stopped" = "starting";

  constructor(name: string, machine: Machine, backends: readonly string[], world: Surroundings) {
    this.name = name;
    this.machine = machine;
    this.whenUnknown = world.random.chance(0.3) ? "admit" : "reject";
    const { clock } = machine;
    const { exactUse } = world;
    this.limit = exactUse?.limit ?? Number.POSITIVE_INFINITY;
    this.counter = new OpenedCounter(new RemoteCounts(machine, world), {
      backends,
      dimensions: DIMENSIONS,
      clock,
      writer: name,
      syncIntervalMs: 100,
      pollIntervalMs: 100,
      sweepIntervalMs: 3_000,
      probeIntervalMs: 500,
      idleMs: 1_500,
      ...(exactUse && {
        enforcement: "exact",
        leaseMs: LEASE_MS,
        claim: claimIn(machine, world),
        ...exactUse.forgives,
      }),
    });
    this.tracker = new UsageTracker(this.counter, {
      store: remoteStore(machine, world),
      clock,
      whenUnknown: this.whenUnknown,
      readTimeoutMs: 2_000,
      ...(exactUse && { limits: () => limitsOf(this.limit) }),
    });
    this.flusher = new UsageFlusher({
      tracker: this.tracker,
      intervalMs: 1_000,
      timeoutMs: 2_000,
      clock,
      random: world.random.next,
    });
    void this.#start();
  }

  get isReady(): boolean {
    return this.#phase === "ready" && this.machine.isRunning;
  }

  /** Whether it ended in order, so that nothing of it may be missing. */
  get isStopped(): boolean {
    return this.#phase === "stopped";
  }

  /** Whether it ends in order, and may have stored what it has already. */
  get isStopping(): boolean {
    return this.#phase === "stopping";
  }

  setLimit(limit: number): void {
    this.limit = limit;
    this.tracker.updateLimits(() => limitsOf(limit));
  }

  stop(): void {
    if (this.#phase !== "ready") return;
    this.#phase = "stopping";
    void this.#stop();
  }

  async #start(): Promise<void> {
    await this.#untilDone(() => this.counter.start());
    await this.#untilDone(() => this.tracker.refresh());
    this.#phase = "ready";
    this.flusher.start();
  }

  async #stop(): Promise<void> {
    await this.#untilDone(() => this.flusher.stop());
    await this.counter.close();
    this.#phase = "stopped";
    this.machine.kill();
  }

  async #untilDone(work: () => Promise<unknown>): Promise<void> {
    for (;;) {
      const done = await withDeadline(this.machine, work());
      if (done) return;
      await new Promise<void>((resume) => void this.machine.clock.after(RETRY_MS, resume));
    }
  }
}

/** Shows what it counted itself, and what it may. */
class OpenedCounter extends RedisCounterBackend<Dimension> {
  /** Of every backend and period that it holds. */
  mine(): readonly Tally[] {
    return this.periods.all().flatMap((cells) =>
      this.backends().flatMap((backend) => {
        const row = this.rows.find(backend);
        return row === undefined ? [] : [this.tallyRows.of(cells, row)];
      }),
    );
  }

  /** By dimension, what of the current period is counted and held, and what that may become. */
  ceilings(backend: string): readonly { readonly used: number; readonly ceiling: number }[] {
    const cells = this.periods.current() as PeriodCells & { ceiling(cell: number): number };
    const row = this.rowOf(backend);
    return this.dimensions.map((_, place) => {
      const cell = this.cellOf(row, place);
      return { used: cells.mine(cell) + cells.held(cell), ceiling: cells.ceiling(cell) };
    });
  }
}

/** Some of what is asked for never answers. */
function withDeadline({ clock }: Machine, work: Promise<unknown>): Promise<boolean> {
  return new Promise((answer) => {
    clock.after(5_000, () => answer(false));
    work.then(
      () => answer(true),
      () => answer(false),
    );
  });
}

class RemoteCounts implements SharedCounts {
  readonly batchSize = 2;
  readonly isDivided = false;
  readonly #machine: Machine;
  readonly #world: Surroundings;
  #unused: Promise<Owing> | undefined;

  constructor(machine: Machine, world: Surroundings) {
    this.#machine = machine;
    this.#world = world;
  }

  merge(bucket: Bucket, run: string, items: readonly MergeItem[]): Promise<MergeReply> {
    const { exactUse } = this.#world;
    const merging = this.#call((redis) => redis.merge(bucket, run, DIMENSIONS, items));
    if (exactUse === undefined) return merging;
    const sentAtMs = this.#machine.clock.elapsed() / this.#machine.rate;
    return merging.then((reply) => {
      for (const { backend, writer, pairs } of items) {
        exactUse.served(run, bucket.period.key, backend, sentAtMs);
        if (pairs !== undefined) exactUse.said(writer, bucket.period.key, backend, sentAtMs);
      }
      return reply;
    });
  }

  versions(buckets: readonly Bucket[]): Promise<readonly (string | undefined)[]> {
    return this.#call((redis) => redis.versions(buckets));
  }

  changed(bucket: Bucket, epoch: string, cursor: number): Promise<Changes> {
    return this.#call((redis) => redis.changed(bucket, epoch, cursor));
  }

  count(bucket: Bucket, backends: readonly string[]): Promise<number> {
    return this.#call((redis) => redis.count(bucket, backends));
  }

  /** Buckets that nobody has used share one request, and its fate: there are dozens of them in every flush. */
  owing(bucket: Bucket): Promise<Owing> {
    if (this.#world.redis.isUsed(bucket)) return this.#call((redis) => redis.owing(bucket));
    this.#unused ??= this.#call(() => ({ epoch: "", owed: [] }));
    queueMicrotask(() => {
      this.#unused = undefined;
    });
    return this.#unused;
  }

  changedSince(bucket: Bucket, version: number): Promise<readonly string[]> {
    return this.#call((redis) => redis.changedSince(bucket, version));
  }

  tallies(bucket: Bucket, backends: readonly string[]): Promise<readonly ReadReply[]> {
    return this.#call((redis) => redis.tallies(bucket, backends));
  }

  report(bucket: Bucket, epoch: string, stored: readonly StoredUpTo[]): Promise<void> {
    return this.#call((redis) => redis.report(bucket, epoch, stored));
  }

  ripen(bucket: Bucket, epoch: string): Promise<void> {
    return this.#call((redis) => redis.ripen(bucket, epoch));
  }

  oweAll(bucket: Bucket): Promise<void> {
    return this.#call((redis) => redis.oweAll(bucket));
  }

  forgive(bucket: Bucket, backend: string, silent: Silent): Promise<readonly ForgivenAmounts[]> {
    return this.#call((redis) => redis.forgive(bucket, backend, silent, DIMENSIONS));
  }

  forget(bucket: Bucket, backend: string): Promise<void> {
    return this.#call((redis) => redis.forget(bucket, backend));
  }

  #call<T>(execute: (redis: ModelRedis) => T): Promise<T> {
    return this.#world.toRedis.call(this.#machine, () => execute(this.#world.redis));
  }
}

/** Notes in the store which buckets were opened. */
function claimIn(machine: Machine, { store, toStore }: Surroundings): ClaimOpened {
  const markOf = (period: string, bucket: number): string => `${period} ${bucket}`;
  return async (period, buckets) => {
    const fresh = await toStore.call(machine, () => store.claim(buckets.map((bucket) => markOf(period, bucket))));
    return buckets.filter((bucket) => fresh.includes(markOf(period, bucket)));
  };
}

/** One process's way to the store. */
function remoteStore(
  machine: Machine,
  { store, toStore, storeFails, isStoreReadOnly, random }: Surroundings,
): UsageStore<Dimension> {
  // What the store has told this process of its losses.
  let losses = store.losses;
  const call = <T>(execute: () => T): Promise<T> =>
    toStore
      .call(machine, () => ({ reply: execute(), losses: store.losses }))
      .then((answered) => {
        losses = Math.max(losses, answered.losses);
        return answered.reply;
      });
  return {
    dimensions: DIMENSIONS,
    losses: () => losses,
    merge: (tallies, { writer } = {}) =>
      call(() => {
        if (isStoreReadOnly()) throw new Error("the database is read-only");
        if (random.chance(storeFails())) {
          store.merge(tallies.slice(0, random.below(tallies.length + 1)), writer);
          throw new Error("the database failed half-way");
        }
        return store
          .merge(tallies, writer)
          .map((tally): RejectedTally => ({ tally, reason: new PeriodFoldedError(tally.period) }));
      }),
    totals: (period, writer, query = {}) =>
      call(() => store.totals(period, writer, DIMENSIONS, query, random.below(4))),
    tallies: (period, backends) => call(() => store.tallies(period, backends)),
    history: () => Promise.reject(new Error("nobody asks for it here")),
    remove: () => Promise.reject(new Error("nobody asks for it here")),
    fold: () => Promise.reject(new Error("nobody asks for it here")),
  };
}
