import type { Period, StoredUsage, UsageStore } from "@usage/counter-core";
import {
  type MergeReply,
  type MergeRequest,
  type ReadReply,
  RedisCounterBackend,
  type SharedCounts,
  type SwapReply,
} from "@usage/counter-redis";
import { UsageFlusher, UsageTracker } from "@usage/tracker";
import { Book } from "./book.ts";
import type { Machine } from "./machine.ts";
import type { ModelRedis } from "./model-redis.ts";
import type { ModelStore } from "./model-store.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";

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
}

/** One run of one process: the real counter, tracker and flusher, on a machine and networks that fail. */
export class Instance {
  readonly name: string;
  readonly machine: Machine;
  readonly counter: ToldCounter;
  readonly tracker: UsageTracker<Dimension>;
  readonly flusher: UsageFlusher<Dimension>;
  readonly #store: UsageStore<Dimension>;
  #phase: "starting" | "ready" | "stopping" | "stopped" = "starting";

  constructor(name: string, machine: Machine, backends: readonly string[], world: Surroundings) {
    this.name = name;
    this.machine = machine;
    const { clock } = machine;
    this.counter = new ToldCounter(new RemoteCounts(machine, world), {
      backends,
      dimensions: DIMENSIONS,
      clock,
      writer: name,
      syncIntervalMs: 100,
      probeIntervalMs: 500,
    });
    this.tracker = new UsageTracker(this.counter);
    this.#store = remoteStore(machine, world);
    this.flusher = new UsageFlusher({
      tracker: this.tracker,
      store: this.#store,
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

  stop(): void {
    if (this.#phase !== "ready") return;
    this.#phase = "stopping";
    void this.#stop();
  }

  async #start(): Promise<void> {
    await this.#untilDone(() => this.counter.start());
    await this.#untilDone(() => this.tracker.refreshBaselines(this.#store));
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

/** Notes what it was told of the store, also of backends that it does not have. */
class ToldCounter extends RedisCounterBackend<Dimension> {
  /** The most that others had stored, by period, backend, dimension. */
  readonly told: Book = new Book();

  override observe(period: string, stored: ReadonlyMap<string, StoredUsage<Dimension>>): readonly string[] {
    const wanted = super.observe(period, stored);
    for (const [backend, { all, own }] of period === this.period().key ? stored : []) {
      for (const dimension of DIMENSIONS) {
        const others = all[dimension] - own[dimension];
        this.told.set(Math.max(others, this.told.get(period, backend, dimension)), period, backend, dimension);
      }
    }
    return wanted;
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
  readonly #machine: Machine;
  readonly #world: Surroundings;

  constructor(machine: Machine, world: Surroundings) {
    this.#machine = machine;
    this.#world = world;
  }

  merge(period: Period, requests: readonly MergeRequest[]): Promise<readonly MergeReply[]> {
    return this.#call((redis) => redis.merge(period, DIMENSIONS, requests));
  }

  swap(period: Period, backend: string, dimension: string): Promise<SwapReply> {
    return this.#call((redis) => redis.swap(period, backend, dimension));
  }

  read(period: Period, backends: readonly string[]): Promise<readonly ReadReply[]> {
    return this.#call((redis) => backends.map((backend) => ({ tallies: redis.read(period, [backend]) })));
  }

  forget(period: Period, backend: string): Promise<void> {
    return this.#call((redis) => redis.forget(period, backend));
  }

  register(period: Period, backends: readonly string[]): Promise<void> {
    return this.#call((redis) => redis.register(period, backends));
  }

  registered(period: Period): Promise<readonly string[]> {
    return this.#call((redis) => redis.registered(period));
  }

  #call<T>(execute: (redis: ModelRedis) => T): Promise<T> {
    return this.#world.toRedis.call(this.#machine, () => execute(this.#world.redis));
  }
}

function remoteStore(
  machine: Machine,
  { store, toStore, storeFails, isStoreReadOnly, random }: Surroundings,
): UsageStore<Dimension> {
  return {
    dimensions: DIMENSIONS,
    merge: (tallies) =>
      toStore.call(machine, () => {
        if (isStoreReadOnly()) throw new Error("the database is read-only");
        if (random.chance(storeFails())) {
          store.merge(tallies.slice(0, random.below(tallies.length + 1)));
          throw new Error("the database failed half-way");
        }
        store.merge(tallies);
        return [];
      }),
    totals: (period, writer) => toStore.call(machine, () => store.totals(period, writer, DIMENSIONS)),
    tallies: (period, backends) => toStore.call(machine, () => store.tallies(period, backends)),
    history: () => Promise.reject(new Error("nobody asks for it here")),
    remove: () => Promise.reject(new Error("nobody asks for it here")),
  };
}
