import type { Tally } from "@usage/counter-core";
import { Book } from "./book.ts";
import { DIMENSIONS, type Dimension, Instance, type Surroundings } from "./instance.ts";
import { Machine } from "./machine.ts";
import { ModelRedis, type RedisSnapshot } from "./model-redis.ts";
import { ModelStore } from "./model-store.ts";
import { Network, NO_FAULTS } from "./network.ts";
import { Random } from "./random.ts";
import { Timeline } from "./timeline.ts";

const BACKENDS = ["oci", "b2", "r2"] as const;
/** Only some instances know it, and those only after a while. */
const LATE_BACKEND = "late";
const ALL_BACKENDS: readonly string[] = [...BACKENDS, LATE_BACKEND];
const MONTH_END = Date.UTC(2026, 1, 1);
const ACTIVE_MS = 8_000;
/** The longest pause of a flusher after failures. */
const LONGEST_PAUSE_MS = 35_000;
/** Longer than a reply may take, an exchange, a probe and two flushes. */
const HEALING_MS = 10_000;
/** Longer than a reply may take, a start, and three attempts to flush. */
const SHARING_MS = 8_000;
/** The period that is over is read again after a minute. */
const SECOND_PASS_MS = 61_000;

/** A promise was broken. */
export class SimulationFailure extends Error {
  readonly seed: number;
  readonly trace: readonly string[];

  constructor(seed: number, problem: string, trace: readonly string[]) {
    super(`seed ${seed}: ${problem}`);
    this.name = "SimulationFailure";
    this.seed = seed;
    this.trace = trace;
  }
}

/** What a run did, for those who want to know that it did something. */
export interface SimulationReport {
  readonly seed: number;
  readonly steps: number;
  readonly recorded: number;
  readonly kills: number;
  readonly losses: number;
}

/**
 * Runs several instances for some seconds of virtual time, in which everything fails that can, checks after each step what
 * must hold at every instant, then heals everything and checks what must hold at rest.
 *
 * @throws SimulationFailure with everything that happened, in order.
 */
export async function simulate(seed: number): Promise<SimulationReport> {
  return new Simulation(seed).run();
}

class Simulation {
  readonly #seed: number;
  readonly #random: Random;
  readonly #timeline: Timeline;
  readonly #world: Surroundings;
  readonly #trace: string[] = [];
  readonly #instances: Instance[] = [];
  /** By run, period, backend, dimension. */
  readonly #recorded = new Book();
  /** What all runs recorded, by period: in the order of all backends and dimensions, as counters have them. */
  readonly #truth = new Map<string, number[]>();
  readonly #totals = new Float64Array(ALL_BACKENDS.length * DIMENSIONS.length);
  readonly #seen = new Map<string, number[]>();
  #checkedRevision = 0;
  /** What must be stored in the end of runs that died: by run, period, backend, dimension. */
  #pushedByDead = new Book();
  readonly #discarded = new Set<string>();
  readonly #snapshots: RedisSnapshot[] = [];
  #storeFails = 0;
  #isStoreReadOnly = false;
  #steps = 0;
  #kills = 0;
  #losses = 0;
  readonly #discards: boolean;

  constructor(seed: number) {
    this.#seed = seed;
    const random = new Random(seed);
    this.#random = random;
    // A third of the runs see the month change.
    const untilMonthEndMs = random.chance(1 / 3) ? random.below(ACTIVE_MS) : 10 * 86_400_000;
    this.#timeline = new Timeline(MONTH_END - untilMonthEndMs);
    this.#discards = random.chance(0.1);
    this.#world = {
      redis: new ModelRedis(),
      toRedis: new Network(this.#timeline, random),
      store: new ModelStore(),
      toStore: new Network(this.#timeline, random),
      storeFails: () => this.#storeFails,
      isStoreReadOnly: () => this.#isStoreReadOnly,
      random,
    };
  }

  async run(): Promise<SimulationReport> {
    const count = 1 + this.#random.below(3);
    for (let i = 0; i < count; i++) this.#boot();
    await this.#runUntil(this.#timeline.nowMs + 500);
    const end = this.#timeline.nowMs + ACTIVE_MS;
    while (this.#timeline.nowMs < end) {
      this.#act();
      await this.#runUntil(this.#timeline.nowMs + this.#random.below(120));
    }
    await this.#heal();
    this.#checkAtRest();
    const recorded = [...this.#recorded.entries()].reduce((sum, [, amount]) => sum + amount, 0);
    return { seed: this.#seed, steps: this.#steps, recorded, kills: this.#kills, losses: this.#losses };
  }

  async #runUntil(untilMs: number): Promise<void> {
    while (await this.#timeline.step(untilMs)) {
      this.#steps += 1;
      this.#check();
    }
  }

  #act(): void {
    const random = this.#random;
    const { redis, toRedis, toStore } = this.#world;
    const instance = random.pick(this.#instances);
    for (let i = random.below(3); i > 0; i--) this.#record(random.pick(this.#instances));
    switch (random.below(40)) {
      case 0:
        this.#kill(instance);
        break;
      case 1:
        if (instance.machine.isRunning) this.#say(`${instance.name} freezes`);
        instance.machine.freeze();
        break;
      case 2:
      case 3:
        this.#thawAll();
        break;
      case 4:
        if (!instance.isReady) return;
        this.#say(`${instance.name} stops in order`);
        instance.stop();
        this.#boot();
        break;
      case 5:
        this.#lose("Redis is wiped", () => redis.restore());
        break;
      case 6: {
        const keys = redis.keys();
        if (keys.length === 0) return;
        const key = random.pick(keys);
        this.#lose(`${key} is evicted`, () => redis.evict(key));
        break;
      }
      case 7:
        this.#say("Redis saves a snapshot");
        this.#snapshots.push(redis.snapshot());
        break;
      case 8:
        this.#rollBack();
        break;
      case 9:
      case 10:
        this.#change("Redis", toRedis);
        break;
      case 11:
      case 12:
        this.#change("the database", toStore);
        break;
      case 13:
        this.#storeFails = random.chance(0.5) ? 0 : 0.5;
        this.#say(`the database fails half-way with ${this.#storeFails}`);
        break;
      case 14:
        if (instance.machine.isDead) return;
        this.#say(`${instance.name} adds ${LATE_BACKEND}`);
        instance.counter.addBackends([LATE_BACKEND]);
        break;
      case 15:
        this.#discard(random.pick(BACKENDS));
        break;
      case 16:
      case 17:
      case 18:
        this.#say("both networks work");
        Object.assign(toRedis.faults, NO_FAULTS);
        Object.assign(toStore.faults, NO_FAULTS);
        break;
    }
  }

  #boot(): void {
    const name = `run-${this.#instances.length}`;
    const machine = new Machine(this.#timeline, this.#random.below(4_001) - 2_000);
    this.#say(`${name} starts`);
    this.#instances.push(new Instance(name, machine, BACKENDS, this.#world));
  }

  #record(instance: Instance): void {
    if (!instance.isReady) return;
    const { counter, tracker, name } = instance;
    const backend = this.#random.pick(counter.backends());
    const usage: Record<Dimension, number> = { requests: 1, bytes: this.#random.below(1_000) };
    tracker.record(backend, usage);
    const { key } = counter.period();
    this.#say(`${name} records ${usage.bytes} bytes for ${backend} in ${key}`);
    const truth = this.#truth.get(key) ?? ALL_BACKENDS.flatMap(() => DIMENSIONS.map(() => 0));
    this.#truth.set(key, truth);
    DIMENSIONS.forEach((dimension, d) => {
      this.#recorded.add(usage[dimension], name, key, backend, dimension);
      const at = ALL_BACKENDS.indexOf(backend) * DIMENSIONS.length + d;
      truth[at] = (truth[at] as number) + usage[dimension];
    });
  }

  #kill(instance: Instance): void {
    if (instance.machine.isDead) return;
    this.#kills += 1;
    this.#say(`${instance.name} is killed`);
    instance.machine.kill();
    this.#noteWhatDeadPushed((run) => run === instance.name);
    this.#boot();
  }

  #lose(what: string, lose: () => void): void {
    this.#losses += 1;
    this.#say(what);
    lose();
    const dead = new Set(this.#instances.filter(({ machine }) => machine.isDead).map(({ name }) => name));
    this.#noteWhatDeadPushed((run) => dead.has(run));
  }

  /** What a dead run shared must come to be stored: what is shared of it now, or stored already. */
  #noteWhatDeadPushed(isMeant: (run: string) => boolean): void {
    const stored = this.#storedByRun();
    for (const [of] of this.#recorded.entries()) {
      const [run, period, backend, dimension] = of as [string, string, string, string];
      if (!isMeant(run)) continue;
      // What nobody else knows of is found by the list of backends, which a server can lose as well.
      const isFound = backend !== LATE_BACKEND || this.#world.redis.isRegistered(period, backend);
      const shared = isFound ? this.#world.redis.amountOf(period, backend, run, dimension) : 0;
      this.#pushedByDead.set(Math.max(shared, stored.get(...of)), ...of);
    }
  }

  #thawAll(): void {
    for (const { machine } of this.#instances) machine.thaw();
    this.#say("whoever was frozen thaws");
  }

  #change(server: string, { faults }: Network): void {
    const random = this.#random;
    const some = (): number => (random.chance(0.5) ? 0 : 0.3);
    Object.assign(faults, {
      down: random.chance(0.3),
      silent: random.chance(0.2),
      lostRequest: some(),
      lostReply: some(),
      doubled: some(),
      late: some(),
    });
    this.#say(`the network to ${server}: ${JSON.stringify(faults)}`);
  }

  #discard(backend: string): void {
    if (!this.#discards) return;
    this.#say(`everybody discards ${backend}`);
    this.#discarded.add(backend);
    for (const { machine, counter } of this.#instances) if (!machine.isDead) counter.discard(backend);
  }

  async #heal(): Promise<void> {
    const { toRedis, toStore } = this.#world;
    this.#say("Redis is healed");
    Object.assign(toRedis.faults, NO_FAULTS);
    Object.assign(toStore.faults, NO_FAULTS);
    this.#storeFails = 0;
    this.#thawAll();
    if (!this.#instances.some(({ machine }) => machine.isRunning)) this.#boot();
    if (this.#random.chance(0.6)) await this.#storm();
    if (this.#random.chance(0.5)) {
      this.#say("the database can be read, and not written to");
      this.#isStoreReadOnly = true;
      await this.#runUntil(this.#timeline.nowMs + SHARING_MS);
      this.#checkShared();
      this.#isStoreReadOnly = false;
    }
    this.#say("everything is healed");
    const patienceMs = this.#timeline.nowMs + LONGEST_PAUSE_MS;
    while (this.#instances.some(({ flusher, machine }) => !machine.isDead && flusher.status().failures > 0)) {
      if (this.#timeline.nowMs >= patienceMs) break;
      await this.#runUntil(this.#timeline.nowMs + 1_000);
    }
    await this.#runUntil(this.#timeline.nowMs + HEALING_MS);
    if (this.#timeline.nowMs < MONTH_END - 60_000) return;
    this.#timeline.skip(SECOND_PASS_MS);
    await this.#runUntil(this.#timeline.nowMs + HEALING_MS);
  }

  /** What is hardest to notice: other instances, and other beginnings of the same counts, with everybody's networks sound. */
  async #storm(): Promise<void> {
    const restart = (): void => {
      for (const instance of [...this.#instances]) this.#kill(instance);
    };
    const wipe = (): void => this.#lose("Redis is wiped", () => this.#world.redis.restore());
    const wait = (): Promise<void> => this.#runUntil(this.#timeline.nowMs + 2_500);
    const rollBack = (): void => this.#rollBack();
    const steps = this.#random.chance(0.5)
      ? [restart, wipe, wait, rollBack]
      : Array.from({ length: 6 }, () => this.#random.pick([restart, wipe, rollBack, wait, wait]));
    for (const step of steps) await step();
  }

  #rollBack(): void {
    if (this.#snapshots.length === 0) return;
    const snapshot = this.#random.pick(this.#snapshots);
    this.#lose("Redis restarts from a snapshot", () => this.#world.redis.restore(snapshot));
  }

  /** While nothing can be stored: Redis has all that is not, and everybody sees all that is in either. */
  #checkShared(): void {
    const stored = this.#storedByRun();
    const known = new Book();
    for (const [of, recorded] of this.#recorded.entries()) {
      const [run, period, backend, dimension] = of as [string, string, string, string];
      if (this.#discarded.has(backend)) continue;
      const found = Math.max(stored.get(...of), this.#world.redis.amountOf(period, backend, run, dimension));
      const isLive = this.#instances.some(({ name, isReady }) => name === run && isReady);
      if (isLive && found < recorded) this.#fail(`${of.join(" ")}: ${found} is shared of ${recorded}`);
      known.add(found, period, backend, dimension);
    }
    for (const { counter, name, isReady } of this.#instances) {
      if (!isReady) continue;
      const { key } = counter.period();
      for (const backend of counter.backends()) {
        const totals = counter.totalAll(backend);
        for (const dimension of DIMENSIONS) {
          const all = known.get(key, backend, dimension);
          if (totals[dimension] < all) {
            this.#fail(`${name} sees ${totals[dimension]} ${dimension} of ${backend} in ${key}, known are ${all}`);
          }
        }
      }
    }
  }

  /** What must hold at every instant. */
  #check(): void {
    const { store } = this.#world;
    if (store.revision !== this.#checkedRevision) {
      this.#checkedRevision = store.revision;
      for (const [of, amount] of this.#storedByRun().entries()) {
        const recorded = this.#recorded.get(...of);
        if (amount > recorded) this.#fail(`${of.join(" ")}: ${amount} is stored, ${recorded} were recorded`);
      }
    }
    for (const { machine, counter, name } of this.#instances) {
      if (machine.isDead) continue;
      const { key } = counter.period();
      const backends = counter.backends();
      const totals = this.#totals.subarray(0, backends.length * DIMENSIONS.length);
      counter.readTotals(totals);
      const truth = this.#truth.get(key);
      const seen = this.#seenBefore(name, key);
      for (let at = 0; at < totals.length; at++) {
        const before = seen[at] ?? 0;
        const isDiscarded = this.#discarded.has(backends[at >> 1] as string);
        if ((totals[at] as number) < before && !isDiscarded) {
          this.#fail(
            `${name} sees ${totals[at]} ${DIMENSIONS[at & 1]} of ${backends[at >> 1]} in ${key}, and saw ${before} before`,
          );
        }
        seen[at] = totals[at] as number;
        if ((totals[at] as number) <= (truth?.[at] ?? 0)) continue;
        const [backend, dimension] = [backends[at >> 1], DIMENSIONS[at & 1]];
        this.#fail(`${name} sees ${totals[at]} ${dimension} of ${backend} in ${key}, the truth is ${truth?.[at] ?? 0}`);
      }
    }
  }

  /** What an instance last saw of a period: usage only grows. */
  #seenBefore(name: string, period: string): number[] {
    const of = `${name} ${period}`;
    const seen = this.#seen.get(of) ?? [];
    this.#seen.set(of, seen);
    return seen;
  }

  #checkAtRest(): void {
    const stored = this.#storedByRun();
    const complete = new Set(
      this.#instances.filter(({ machine, isStopped }) => isStopped || !machine.isDead).map(({ name }) => name),
    );
    for (const [of, recorded] of this.#recorded.entries()) {
      const [run, , backend] = of as [string, string, string];
      if (this.#discarded.has(backend)) continue;
      const due = complete.has(run) ? recorded : this.#pushedByDead.get(...of);
      const found = stored.get(...of);
      if (found < due) this.#fail(`${of.join(" ")}: ${found} is stored of ${due}`);
    }
    for (const instance of this.#instances) if (!instance.machine.isDead) this.#checkInstanceAtRest(instance);
  }

  #checkInstanceAtRest(instance: Instance): void {
    const { counter, name, flusher } = instance;
    if (!instance.isReady) this.#fail(`${name} did not become ready`);
    if (!counter.isHealthy()) this.#fail(`${name} has given up on Redis`);
    if (flusher.status().failures > 0)
      this.#fail(`${name} still fails to flush: ${String(flusher.status().lastError)}`);
    const { key } = counter.period();
    const stored = this.#world.store.totals(key, name, DIMENSIONS);
    for (const backend of counter.backends()) {
      if (this.#discarded.has(backend)) continue;
      const totals = counter.totalAll(backend);
      for (const dimension of DIMENSIONS) {
        const all = stored.get(backend)?.all[dimension] ?? 0;
        if (totals[dimension] < all)
          this.#fail(`${name} sees ${totals[dimension]} ${dimension} of ${backend}, stored are ${all}`);
        if (this.#losses === 0 && totals[dimension] !== all) {
          this.#fail(
            `${name} sees ${totals[dimension]} ${dimension} of ${backend}, but nothing was lost and stored are ${all}`,
          );
        }
        const unpushed = counter.unpushedAll(backend)[dimension];
        if (unpushed > 0) this.#fail(`${name} has not shared ${unpushed} ${dimension} of ${backend}`);
        const unflushed = counter.load(backend, dimension);
        if (this.#losses === 0 && unflushed !== 0)
          this.#fail(`${name} takes ${unflushed} ${dimension} of ${backend} for unflushed`);
      }
    }
  }

  /** By run, period, backend, dimension: a run that discarded counts under several names. */
  #storedByRun(): Book {
    const book = new Book();
    for (const { writer, period, backend, usage } of this.#world.store.rows() as readonly Tally[]) {
      const [run = ""] = writer.split(".", 1);
      for (const [dimension, amount] of Object.entries(usage)) book.add(amount, run, period, backend, dimension);
    }
    return book;
  }

  #say(what: string): void {
    this.#trace.push(`${new Date(this.#timeline.nowMs).toISOString()} ${what}`);
  }

  #fail(problem: string): never {
    throw new SimulationFailure(this.#seed, problem, this.#trace);
  }
}
