import type { Tally } from "@usage/counter-core";
import { amountOf } from "@usage/counter-core/internal";
import { bucketOf } from "@usage/counter-redis";
import { BUCKETS } from "@usage/counter-redis/internal";
import { Book } from "./book.ts";
import { ExactUse } from "./exact-use.ts";
import { DIMENSIONS, type Dimension, Instance, type Surroundings } from "./instance.ts";
import { Machine } from "./machine.ts";
import { ModelRedis } from "./model-redis.ts";
import { ModelStore } from "./model-store.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { SimulationFailure } from "./simulation-failure.ts";
import { TallyIndex } from "./tally-index.ts";
import { Timeline } from "./timeline.ts";

/** Every instance has them from the start; both are in one bucket. */
export const BACKENDS = ["oci", "leo"] as const;
/** They come when somebody uses them, and go when nobody does; the first two are in one bucket. */
const OPEN_BACKENDS = ["acme", "backblaze", "late"] as const;
/** As many more that nobody has named before. */
const NEW_NAMES = 4;
export const MONTH_END: number = Date.UTC(2026, 1, 1);
export const ACTIVE_MS = 8_000;
/** Buckets of the two periods that whoever notices a loss of the store has looked at again. */
const ONE_OWES_ALL = 2 * BUCKETS;

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
  /** Of Redis and of the store. */
  losses = 0;
  /** Whether the store lost something that it cannot tell: that shows when everything is read again. */
  hasSilentLoss = false;
  /** Whether backends may be discarded. */
  readonly discards: boolean;
  /** What the store may do: lose what it confirmed and tell so, lose it and not know, fold the month that is over, or none of it. */
  readonly storeDoes: "lose" | "lose silently" | "fold" | "nothing";
  /** What nobody has any more, or nobody is known to bring: by run, period, backend, dimension. */
  readonly #lost = new Book();
  /** Those who live on from a loss of the store, of which each will have everything looked at again. */
  #noticers: readonly Instance[] = [];
  #hasStoreLost = false;
  /** Whether Redis lost something before what it had was looked at again. */
  #isTwiceLost = false;
  /** How often a bucket was to be looked at again when the store lost something. */
  #owedFrom = 0;
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
      redis: new ModelRedis(),
      toRedis: new Network(this.timeline, random),
      store: new ModelStore(),
      toStore: new Network(this.timeline, random),
      storeFails: () => this.storeFails,
      isStoreReadOnly: () => this.isStoreReadOnly,
      random,
      exactUse: isExact ? new ExactUse(this) : undefined,
    };
    const { redis, exactUse } = this.world;
    if (exactUse !== undefined) redis.onGrant = (...of): void => exactUse.granted(...of);
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
    const { losses } = this;
    const known = DIMENSIONS.map((dimension) =>
      Math.min(sumOf(this.#storedOf(key, backend), dimension), sumOf(this.#sharedOf(key, backend), dimension)),
    );
    this.say(`${name} asks for ${backend}`);
    const held = (): void => {
      this.say(`${name} holds ${backend}`);
      if (whenUnknown === "admit" || this.losses > losses || this.discarded.has(backend)) return;
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
    this.#noteWhatIsLost();
    this.boot();
  }

  /** Something of what is shared goes. */
  lose(what: string, lose: () => void): void {
    this.losses += 1;
    this.say(what);
    const { redis } = this.world;
    const isAllLookedAt = redis.oweAlls >= this.#owedFrom + ONE_OWES_ALL && !redis.doesEverybodyOwe();
    if (isAllLookedAt) this.#noticers = [];
    lose();
    this.#noteWhatIsLost(false);
  }

  /** The store loses what it confirmed since some instant. */
  loseStored(what: string, lose: () => void): void {
    this.losses += 1;
    this.say(what);
    lose();
    if (this.storeDoes === "lose silently") this.hasSilentLoss = true;
    else this.#noticers = this.instances.filter(isAlive);
    this.#hasStoreLost = true;
    this.#owedFrom = this.world.redis.oweAlls;
    this.#noteWhatIsLost();
  }

  /** Some instance has let go of something. It had all of it stored: if the store lost it since, that is in nobody's memory. */
  noteLetGo(): void {
    if (this.#hasStoreLost) this.#noteWhatIsLost();
  }

  foldMonth(): void {
    const month = "2026-01";
    // Nobody is in it any more, and no message about it is under way.
    if (this.timeline.nowMs < MONTH_END + 6_000 || this.world.store.isFolded(month)) return;
    this.say(`${month} is folded`);
    this.world.store.fold(month);
    this.#noteWhatIsLost();
  }

  /** What must come to be stored, or be held by whoever counted it where the store refuses it, and is not. */
  missing(): readonly string[] {
    if (this.#noticers.length > 0 && !this.#noticers.some(isAlive)) this.#noteWhatIsLost();
    const { store } = this.world;
    const stored = new TallyIndex(store.origins());
    const held = new TallyIndex(
      this.instances
        .filter(isAlive)
        .flatMap(({ counter }) => counter.mine().filter((tally) => store.isFolded(tally.period))),
    );
    // Nobody told them of the loss.
    const ended = new Set(
      this.hasSilentLoss ? this.instances.filter((one) => one.isStopped).map(({ name }) => name) : [],
    );
    return Array.from(this.recorded.entries(), ([of, recorded]) => {
      const due = recorded - this.#lost.get(...of);
      const isExcused = this.discarded.has(of[2] as string) || ended.has(of[0] as string);
      const found = sumOfLarger([stored, held], of);
      return found < due && !isExcused ? `${of.join(" ")}: ${found} is stored of ${due}` : "";
    }).filter((problem) => problem !== "");
  }

  /** What has not been lost of what a run recorded. */
  kept(of: readonly string[]): number {
    return this.recorded.get(...of) - this.#lost.get(...of);
  }

  /**
   * What of a run nobody has any more is lost: neither the run itself, which is dead or has let go of it, nor the store, nor
   * Redis, where it is found by the list of what changed.
   *
   * @param isRedisLooked - Whether somebody looks at what is shared and was taken for stored.
   */
  #noteWhatIsLost(isRedisLooked = true): void {
    const { redis, store } = this.world;
    const isLookedAt = isRedisLooked || this.#noticers.length === 0;
    const isNoticed = this.#noticers.length === 0 || this.#noticers.some(isAlive);
    // Who does not know of it yet may find that what would be looked at again is not to be any more.
    if (!isLookedAt) this.#isTwiceLost = true;
    if (!isLookedAt || !isNoticed) this.#noticers = [];
    const stored = new TallyIndex(store.origins());
    // Whoever is about to end may have stored what it has, and look no more.
    const keepers = this.instances.filter((one) => isAlive(one) && !(this.#hasStoreLost && one.isStopping));
    const held = new TallyIndex(keepers.flatMap((one) => this.#keptBy(one)));
    for (const [of, recorded] of this.recorded.entries()) {
      const [, period, backend] = of as [string, string, string];
      const isFound = redis.isListed(period, bucketOf(backend), backend) && !store.isFolded(period);
      const isMeant = isFound && isLookedAt && isNoticed && !this.hasSilentLoss && !this.#isTwiceLost;
      const shared = new TallyIndex(isMeant ? this.#sharedOf(period, backend) : []);
      const found = sumOfLarger([stored, held, shared], of);
      this.#lost.set(Math.max(this.#lost.get(...of), recorded - found), ...of);
    }
  }

  /** What an instance counted, and will store whatever happens to Redis and the store. */
  #keptBy({ counter }: Instance): readonly Tally[] {
    if (!this.hasSilentLoss) return counter.mine();
    // It is noticed when all of the current period is read again; what is let go of before that goes with it.
    const { key } = counter.period();
    const given: readonly string[] = BACKENDS;
    return counter.mine().filter(({ period, backend }) => period === key && given.includes(backend));
  }

  /** What the store or Redis has of a run, a period, a backend and a dimension, under all names that the run counted under. */
  known(): (of: readonly string[]) => number {
    const stored = new TallyIndex(this.world.store.origins());
    const shared = new TallyIndex(
      [...this.truth.keys()].flatMap((period) => this.names.flatMap((name) => this.#sharedOf(period, name))),
    );
    return (of) => sumOfLarger([stored, shared], of);
  }

  /**
   * What everybody must see of a backend once all is shared. What one replica has of a writer is in the other then; unless a
   * store lost data, which is noticed by what its rows add up to.
   */
  seenBySum(period: string, backend: string, dimension: string): number {
    const places = [this.#storedOf(period, backend), this.#sharedOf(period, backend)];
    return Math.max(...places.map((tallies) => sumOf(tallies, dimension)));
  }

  get hasStoreLost(): boolean {
    return this.#hasStoreLost;
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

  #sharedOf(period: string, backend: string): readonly Tally[] {
    const at = { period: { key: period, start: 0, end: 0 }, number: bucketOf(backend) };
    return this.world.redis.tallies(at, [backend]).flatMap(({ tallies }) => tallies);
  }

  #storedOf(period: string, backend: string): readonly Tally[] {
    return this.world.store.tallies(period, [backend]);
  }
}

function isAlive({ machine }: Instance): boolean {
  return !machine.isDead;
}

/** Of a run, a period, a backend and a dimension: the larger amount of each name that the run counted under, added up. */
function sumOfLarger(indexes: readonly TallyIndex[], of: readonly string[]): number {
  const [run, period, backend, dimension] = of as [string, string, string, string];
  const writers = new Set(indexes.flatMap((index) => index.writersOf(run, period, backend)));
  let sum = 0;
  for (const writer of writers) {
    sum += Math.max(...indexes.map((index) => index.amount(writer, period, backend, dimension)));
  }
  return sum;
}

function sumOf(tallies: readonly Tally[], dimension: string): number {
  return tallies.reduce((sum, { usage }) => sum + amountOf(usage, dimension), 0);
}
