import { isWrittenBy } from "@usage/counter-core";
import { bucketOf } from "@usage/counter-redis/internal";
import { Book } from "./book.ts";
import { DIMENSIONS, type Dimension, Instance, type Surroundings } from "./instance.ts";
import { Machine } from "./machine.ts";
import { ModelRedis } from "./model-redis.ts";
import { ModelStore } from "./model-store.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { SimulationFailure } from "./simulation-failure.ts";
import { Timeline } from "./timeline.ts";

/** Every instance has them from the start; both are in one bucket. */
export const BACKENDS = ["oci", "leo"] as const;
/** They come when somebody uses them, and go when nobody does; the first two are in one bucket. */
export const OPEN_BACKENDS = ["acme", "backblaze", "late"] as const;
export const ALL_BACKENDS: readonly string[] = [...BACKENDS, ...OPEN_BACKENDS];
export const bucketByName: ReadonlyMap<string, number> = new Map(ALL_BACKENDS.map((name) => [name, bucketOf(name)]));
export const MONTH_END: number = Date.UTC(2026, 1, 1);
export const ACTIVE_MS = 8_000;

/** Who is there, in which surroundings, and what really happened: what they recorded, and what must come to be stored. */
export class Scene {
  readonly seed: number;
  readonly random: Random;
  readonly timeline: Timeline;
  readonly world: Surroundings;
  readonly instances: Instance[] = [];
  /** By run, period, backend, dimension. */
  readonly recorded: Book = new Book();
  /** What all runs recorded, by period: in the order of all backends and dimensions, as counters have them. */
  readonly truth: Map<string, number[]> = new Map();
  /** What must be stored in the end of runs that died: by run, period, backend, dimension. */
  readonly pushedByDead: Book = new Book();
  readonly discarded: Set<string> = new Set();
  /** The probability that a merge into the store stops half-way. */
  storeFails = 0;
  isStoreReadOnly = false;
  kills = 0;
  losses = 0;
  /** Whether backends may be discarded. */
  readonly discards: boolean;
  readonly #trace: string[] = [];

  constructor(seed: number) {
    this.seed = seed;
    const random = new Random(seed);
    this.random = random;
    // A third of the runs see the month change.
    const untilMonthEndMs = random.chance(1 / 3) ? random.below(ACTIVE_MS) : 10 * 86_400_000;
    this.timeline = new Timeline(MONTH_END - untilMonthEndMs);
    this.discards = random.chance(0.1);
    this.world = {
      redis: new ModelRedis(),
      toRedis: new Network(this.timeline, random),
      store: new ModelStore(),
      toStore: new Network(this.timeline, random),
      storeFails: () => this.storeFails,
      isStoreReadOnly: () => this.isStoreReadOnly,
      random,
    };
  }

  boot(): void {
    const name = `run-${this.instances.length}`;
    const machine = new Machine(this.timeline, this.random.below(4_001) - 2_000);
    this.say(`${name} starts`);
    this.instances.push(new Instance(name, machine, BACKENDS, this.world));
  }

  /** An instance adds the late backend, which must begin with all that the instance was told of it. */
  addLate({ name, counter }: Instance): void {
    this.say(`${name} adds ${LATE_BACKEND}`);
    counter.addBackends([LATE_BACKEND]);
    const { key } = counter.period();
    const totals = counter.totalAll(LATE_BACKEND);
    for (const dimension of DIMENSIONS) {
      const told = counter.told.get(key, LATE_BACKEND, dimension);
      if (totals[dimension] >= told) continue;
      this.fail(`${name} adds ${LATE_BACKEND} with ${totals[dimension]} ${dimension} in ${key}, and was told ${told}`);
    }
  }

  record(instance: Instance): void {
    if (!instance.isReady) return;
    const { counter, tracker, name } = instance;
    const backend = this.random.pick(ALL_BACKENDS);
    const unknown = tracker.ensure(backend);
    if (unknown !== undefined) {
      this.say(`${name} asks for ${backend}`);
      unknown.then(
        () => this.say(`${name} holds ${backend}`),
        () => this.say(`${name} cannot hold ${backend}`),
      );
      return;
    }
    const usage: Record<Dimension, number> = { requests: 1, bytes: this.random.below(1_000) };
    tracker.record(backend, usage);
    const { key } = counter.period();
    this.say(`${name} records ${usage.bytes} bytes for ${backend} in ${key}`);
    const truth = this.truth.get(key) ?? ALL_BACKENDS.flatMap(() => DIMENSIONS.map(() => 0));
    this.truth.set(key, truth);
    DIMENSIONS.forEach((dimension, d) => {
      this.recorded.add(usage[dimension], name, key, backend, dimension);
      const at = ALL_BACKENDS.indexOf(backend) * DIMENSIONS.length + d;
      truth[at] = (truth[at] as number) + usage[dimension];
    });
  }

  kill(instance: Instance): void {
    if (instance.machine.isDead) return;
    this.kills += 1;
    this.say(`${instance.name} is killed`);
    instance.machine.kill();
    this.#noteWhatDeadPushed((run) => run === instance.name);
    this.boot();
  }

  /** Something of what is shared goes. */
  lose(what: string, lose: () => void): void {
    this.losses += 1;
    this.say(what);
    lose();
    const dead = new Set(this.instances.filter(({ machine }) => machine.isDead).map(({ name }) => name));
    this.#noteWhatDeadPushed((run) => dead.has(run));
  }

  /** What a dead run shared must come to be stored: what is shared of it now, or stored already. */
  #noteWhatDeadPushed(isMeant: (run: string) => boolean): void {
    const stored = this.storedByRun();
    for (const [of] of this.recorded.entries()) {
      const [run, period, backend, dimension] = of as [string, string, string, string];
      if (!isMeant(run)) continue;
      // It is found by the list of what changed, which a server can lose as well; whoever holds it then may let go of it.
      const isFound = this.world.redis.isListed(period, bucketByName.get(backend) as number, backend);
      const shared = isFound ? this.sharedBy(run, period, backend, dimension) : 0;
      this.pushedByDead.set(Math.max(shared, stored.get(...of)), ...of);
    }
  }

  /** What is shared of a run, under all names that it counted under. */
  sharedBy(run: string, period: string, backend: string, dimension: string): number {
    const bucket = bucketByName.get(backend) as number;
    const at = { period: { key: period, start: 0, end: 0 }, number: bucket };
    const tallies = this.world.redis.tallies(at, [backend]).filter((tally) => isWrittenBy(tally, run));
    return tallies.reduce((sum, { usage }) => sum + (usage[dimension] ?? 0), 0);
  }

  /** By run, period, backend, dimension: a run that discarded counts under several names. */
  storedByRun(): Book {
    const book = new Book();
    for (const { writer, period, backend, usage } of this.world.store.rows()) {
      const [run = ""] = writer.split(".", 1);
      for (const [dimension, amount] of Object.entries(usage)) book.add(amount, run, period, backend, dimension);
    }
    return book;
  }

  say(what: string): void {
    this.#trace.push(`${new Date(this.timeline.nowMs).toISOString()} ${what}`);
  }

  fail(problem: string): never {
    throw new SimulationFailure(this.seed, problem, this.#trace);
  }
}
