import type { Tally } from "@usage/counter-core";
import { bucketOf } from "@usage/counter-redis";
import { Book } from "./book.ts";
import { ExactUse } from "./exact-use.ts";
import { BACKENDS, DIMENSIONS, type Dimension, Instance, type Surroundings } from "./instance.ts";
import { Losses } from "./losses.ts";
import { Machine } from "./machine.ts";
import { ModelRedis } from "./model-redis.ts";
import { ModelStore } from "./model-store.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { SimulationFailure } from "./simulation-failure.ts";
import { sumOf } from "./tally-index.ts";
import { Timeline } from "./timeline.ts";

/** They come when somebody uses them, and go when nobody does; the first two are in one bucket. */
const OPEN_BACKENDS = ["acme", "backblaze", "late"] as const;
/** As many more that nobody has named before. */
const NEW_NAMES = 4;
export const MONTH_END: number = Date.UTC(2026, 1, 1);
export const ACTIVE_MS = 8_000;
/** Who is there, in which surroundings, and what really happened: what they recorded, and what must come to be stored. */
export class Scene {
  readonly seed: number;
  readonly random: Random;
  readonly timeline: Timeline;
  readonly world: Surroundings;
  readonly instances: Instance[] = [];
  /** All that anybody has named so far; those that every instance has from the start come first. */
  readonly names: string[] = [...BACKENDS, ...OPEN_BACKENDS];
  /** By run, period, backend, dimension. */
  readonly recorded: Book = new Book();
  /** What all runs recorded, by period: in the order of names and dimensions, as counters have them. */
  readonly truth: Map<string, number[]> = new Map();
  readonly discarded: Set<string> = new Set();
  /** The probability that a merge into the store stops half-way. */
  storeFails = 0;
  isStoreReadOnly = false;
  kills = 0;
  readonly losses: Losses;
  /** Whether backends may be discarded. */
  readonly discards: boolean;
  /** What the store may do: lose what it confirmed and tell so, lose it and not know, fold the month that is over, or none of it. */
  readonly storeDoes: "lose" | "lose silently" | "fold" | "nothing";
  /** What is being brought in, by run and backend. */
  readonly #asked = new Map<string, Promise<void>>();
  #failure: string | undefined;
  readonly #trace: string[] = [];

  /** @param isExact - Whether limits are exact, and low enough to be reached. */
  constructor(seed: number, isExact = false) {
    this.seed = seed;
    const random = new Random(seed);
    this.random = random;
    this.storeDoes = random.pick(["lose", "lose silently", "fold", "nothing", "nothing"] as const);
    // A third of the runs see the month change, and those that fold it see it early.
    const seesMonthEnd = this.storeDoes === "fold" || random.chance(1 / 3);
    const latestMs = this.storeDoes === "fold" ? 2_000 : ACTIVE_MS;
    const untilMonthEndMs = seesMonthEnd ? random.below(latestMs) : 10 * 86_400_000;
    this.timeline = new Timeline(MONTH_END - untilMonthEndMs);
    this.discards = random.chance(0.1) && !isExact;
    this.world = {
      redis: new ModelRedis(() => this.timeline.nowMs),
      toRedis: new Network(this.timeline, random),
      store: new ModelStore(),
      toStore: new Network(this.timeline, random),
      storeFails: () => this.storeFails,
      isStoreReadOnly: () => this.isStoreReadOnly,
      random,
      exactUse: isExact ? new ExactUse(this) : undefined,
    };
    this.losses = new Losses(this);
    const { redis, exactUse } = this.world;
    if (exactUse === undefined) return;
    redis.onGrant = (...of): void => exactUse.granted(...of);
    redis.onForgive = (writer, period, backend, dimension, amount, name): void => {
      exactUse.wroteOff(writer, period, backend, dimension, amount, name !== undefined);
    };
  }

  boot(): Instance {
    const name = `run-${this.instances.length}`;
    const skewMs = this.random.below(4_001) - 2_000;
    const rate = this.world.exactUse === undefined ? 1 : 0.98 + 0.04 * this.random.next();
    const machine = new Machine(this.timeline, skewMs, rate);
    this.say(`${name} starts`);
    const instance = new Instance(name, machine, BACKENDS, this.world);
    this.instances.push(instance);
    return instance;
  }

  /** Those that are held when somebody uses them. */
  get openNames(): readonly string[] {
    return this.names.slice(BACKENDS.length);
  }

  record(instance: Instance): void {
    if (!instance.isReady) return;
    const { counter, tracker, name } = instance;
    const backend = this.#anyName();
    if (this.ensure(instance, backend) !== undefined) return;
    if (this.world.exactUse !== undefined) {
      this.world.exactUse.use(instance, backend);
      return;
    }
    const usage: Record<Dimension, number> = { requests: 1, bytes: this.random.below(1_000) };
    tracker.record(backend, usage);
    const { key } = counter.period();
    this.say(`${name} records ${usage.bytes} bytes for ${backend} in ${key}`);
    this.noteRecorded(name, key, backend, usage);
  }

  /** A run counted something. */
  noteRecorded(run: string, period: string, backend: string, usage: Record<Dimension, number>): void {
    const truth = this.truth.get(period) ?? [];
    this.truth.set(period, truth);
    DIMENSIONS.forEach((dimension, d) => {
      this.recorded.add(usage[dimension], run, period, backend, dimension);
      const at = this.names.indexOf(backend) * DIMENSIONS.length + d;
      truth[at] = (truth[at] ?? 0) + usage[dimension];
    });
  }

  /** An instance asks for a backend. What both replicas had of it when it first did is included, as far as they answered. */
  ensure(instance: Instance, backend: string): Promise<void> | undefined {
    const { counter, tracker, name, whenUnknown } = instance;
    const unknown = tracker.ensure(backend);
    if (unknown === undefined) return undefined;
    const asked = `${name} ${backend}`;
    const waiting = this.#asked.get(asked);
    if (waiting !== undefined) return waiting;
    const { key } = counter.period();
    const losses = this.losses.count;
    const known = DIMENSIONS.map((dimension) =>
      Math.min(sumOf(this.storedOf(key, backend), dimension), sumOf(this.sharedOf(key, backend), dimension)),
    );
    this.say(`${name} asks for ${backend}`);
    const held = (): void => {
      this.say(`${name} holds ${backend}`);
      if (whenUnknown === "admit" || this.losses.count > losses || this.discarded.has(backend)) return;
      if (instance.machine.isDead || counter.period().key !== key || !counter.backends().includes(backend)) return;
      const totals = counter.totalAll(backend);
      DIMENSIONS.forEach((dimension, d) => {
        if (totals[dimension] >= (known[d] as number)) return;
        this.#failure ??= `${name} holds ${backend} with ${totals[dimension]} ${dimension}, known were ${known[d]}`;
      });
    };
    const answered = unknown
      .then(held, () => this.say(`${name} cannot hold ${backend}`))
      .finally(() => this.#asked.delete(asked));
    this.#asked.set(asked, answered);
    return answered;
  }

  kill(instance: Instance): void {
    if (instance.machine.isDead) return;
    this.kills += 1;
    this.say(`${instance.name} is killed`);
    instance.machine.kill();
    this.losses.note();
    this.boot();
  }

  foldMonth(): void {
    const month = "2026-01";
    // Nobody is in it any more, and no message about it is under way.
    if (this.timeline.nowMs < MONTH_END + 6_000 || this.world.store.isFolded(month)) return;
    this.say(`${month} is folded`);
    this.world.store.fold(month);
    this.losses.note();
  }

  /** By run, period, backend, dimension: a run that discarded counts under several names. */
  storedByRun(): Book {
    const book = new Book();
    for (const { writer, period, backend, usage } of this.world.store.origins()) {
      const [run = ""] = writer.split(".", 1);
      for (const [dimension, amount] of Object.entries(usage)) book.add(amount, run, period, backend, dimension);
    }
    return book;
  }

  sharedOf(period: string, backend: string): readonly Tally[] {
    const at = { period: { key: period, start: 0, end: 0 }, number: bucketOf(backend) };
    return this.world.redis.tallies(at, [backend]).flatMap(({ tallies }) => tallies);
  }

  storedOf(period: string, backend: string): readonly Tally[] {
    return this.world.store.tallies(period, [backend]);
  }

  say(what: string): void {
    this.#trace.push(`${new Date(this.timeline.nowMs).toISOString()} ${what}`);
  }

  fail(problem: string): never {
    throw new SimulationFailure(this.seed, problem, this.#trace);
  }

  /** Something is wrong where a failure would be taken for the server's. */
  failLater(problem: string): void {
    this.#failure ??= problem;
  }

  /** What went wrong where nobody could be told. */
  failIfAnythingDid(): void {
    if (this.#failure !== undefined) this.fail(this.#failure);
  }

  /** Now and then it is one that nobody has named before. */
  #anyName(): string {
    const most = BACKENDS.length + OPEN_BACKENDS.length + NEW_NAMES;
    if (this.names.length < most && this.random.chance(0.02)) this.names.push(`tenant-${this.names.length}`);
    // Where limits are exact, most want the same.
    const isSame = this.world.exactUse !== undefined && this.random.chance(0.7);
    return isSame ? (this.names[0] as string) : this.random.pick(this.names);
  }
}
