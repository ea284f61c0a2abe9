import { bucketOf } from "@usage/counter-redis";
import { Acts } from "./acts.ts";
import { Checks } from "./checks.ts";
import { DIMENSIONS, type Instance } from "./instance.ts";
import { ACTIVE_MS, MONTH_END, Scene } from "./scene.ts";

/** The longest pause of a flusher after failures. */
const LONGEST_PAUSE_MS = 35_000;
/** Longer than a reply may take, an exchange, a probe and two flushes. */
const HEALING_MS = 10_000;
/** Longer than a request and its reply may take. */
const REPLY_MS = 4_000;
/** Longer than a reply may take, a start, and three attempts to flush. */
const SHARING_MS = 8_000;
/** Longer than a start, and than two flushes. */
const STORM_PAUSE_MS = 2_500;
/** Longer than an unanswered claim is waited for, than it takes to ripen, and than what is idle is kept for. */
const RETURN_MS = 12_000;
/** The period that is over is read again after a minute. */
const SECOND_PASS_MS = 61_000;
/** All that is held is read again after ten minutes. */
const WHOLE_READ_MS = 601_000;
/** Longer than a start takes, or what is asked for; and shorter than nobody uses it until it is let go of. */
const LATE_MS = 1_000;

/** What a run did, for those who want to know that it did something. */
export interface SimulationReport {
  readonly seed: number;
  readonly steps: number;
  readonly recorded: number;
  readonly kills: number;
  readonly losses: number;
  /** Where limits are exact: what was admitted and refused, and what was granted though somebody had it of whom nobody knew, and what was
   * written off. */
  readonly admitted: number;
  readonly refused: number;
  readonly excused: number;
  readonly forgiven: number;
}

/**
 * Runs several instances for some seconds of virtual time, in which everything fails that can, checks after each step what
 * must hold at every instant, then heals everything and checks what must hold at rest.
 *
 * @throws SimulationFailure with everything that happened, in order.
 */
export async function simulate(seed: number, isExact = false): Promise<SimulationReport> {
  return new Simulation(seed, isExact).run();
}

class Simulation {
  readonly #scene: Scene;
  readonly #acts: Acts;
  readonly #checks: Checks;
  #steps = 0;

  constructor(seed: number, isExact: boolean) {
    this.#scene = new Scene(seed, isExact);
    this.#acts = new Acts(this.#scene);
    this.#checks = new Checks(this.#scene);
  }

  async run(): Promise<SimulationReport> {
    const scene = this.#scene;
    const { random, timeline } = scene;
    // Where limits are exact, nobody alone proves nothing.
    const count = scene.world.exactUse === undefined ? 1 + random.below(3) : 2 + random.below(3);
    for (let i = 0; i < count; i++) scene.boot();
    await this.#runFor(500);
    const end = timeline.nowMs + ACTIVE_MS;
    while (timeline.nowMs < end) {
      this.#acts.any();
      await this.#runFor(random.below(120));
    }
    await this.#heal();
    this.#checks.atRest();
    await this.#takeTheRest();
    await this.#comeLate();
    const recorded = [...scene.recorded.entries()].reduce((sum, [, amount]) => sum + amount, 0);
    const { admitted = 0, refused = 0, excused = 0, forgiven = 0 } = scene.world.exactUse ?? {};
    const { seed, kills } = scene;
    const losses = scene.losses.count;
    return { seed, steps: this.#steps, recorded, kills, losses, admitted, refused, excused, forgiven };
  }

  async #runFor(ms: number): Promise<void> {
    const { timeline } = this.#scene;
    const untilMs = timeline.nowMs + ms;
    while (await timeline.step(untilMs)) {
      this.#steps += 1;
      this.#checks.always();
    }
  }

  async #heal(): Promise<void> {
    const scene = this.#scene;
    const { random, timeline, instances } = scene;
    scene.say("Redis is healed");
    this.#acts.mendNetworks();
    scene.storeFails = 0;
    this.#acts.thawAll();
    scene.world.exactUse?.tellAll();
    if (!instances.some(({ machine }) => machine.isRunning)) scene.boot();
    if (random.chance(0.6)) await this.#acts.storm(() => this.#runFor(STORM_PAUSE_MS));
    if (random.chance(0.5)) {
      scene.say("the database can be read, and not written to");
      scene.isStoreReadOnly = true;
      await this.#runFor(SHARING_MS);
      // Whoever still pauses after failures from before learns now what it would learn then.
      for (const { flusher, machine } of instances) if (!machine.isDead) flusher.flush().catch(() => {});
      await this.#runFor(REPLY_MS);
      this.#checks.shared();
      scene.isStoreReadOnly = false;
    }
    scene.say("everything is healed");
    const patienceMs = timeline.nowMs + LONGEST_PAUSE_MS;
    while (instances.some(({ flusher, machine }) => !machine.isDead && flusher.status().failures > 0)) {
      if (timeline.nowMs >= patienceMs) break;
      await this.#runFor(1_000);
    }
    await this.#runFor(HEALING_MS);
    if (scene.storeDoes === "fold" && random.chance(0.5)) {
      scene.foldMonth();
      await this.#runFor(STORM_PAUSE_MS);
    }
    if (timeline.nowMs >= MONTH_END - 60_000) {
      timeline.skip(SECOND_PASS_MS);
      await this.#runFor(HEALING_MS);
    }
    if (!scene.losses.hasSilentLoss) return;
    timeline.skip(WHOLE_READ_MS);
    await this.#runFor(HEALING_MS);
  }

  /** One instance can take all that the limit leaves, less what the dead had and did not use. */
  async #takeTheRest(): Promise<void> {
    const scene = this.#scene;
    const { exactUse } = scene.world;
    if (exactUse === undefined) return;
    exactUse.endAll(scene.instances);
    await this.#runFor(RETURN_MS);
    exactUse.assertNothingKept();
    const one = scene.random.pick(scene.instances.filter(({ isReady }) => isReady));
    const [backend = ""] = scene.names;
    if (scene.random.chance(0.5)) await this.#writeOff(one, backend);
    // In two parts: the second is asked for while the first is there.
    for (const part of [2, 1]) {
      const amount = Math.ceil(exactUse.room(one, backend) / part);
      if (amount <= 0) continue;
      const untilMs = scene.timeline.nowMs + RETURN_MS;
      while (!exactUse.take(one, backend, amount)) {
        if (scene.timeline.nowMs >= untilMs) {
          const { reason, retryAfterMs } = one.tracker.check(backend, { requests: amount });
          const standing = JSON.stringify(one.counter.standing(backend));
          scene.fail(`${one.name} cannot have ${amount} of ${backend}: ${reason}, ${retryAfterMs}, ${standing}`);
        }
        await this.#runFor(50);
      }
    }
    await this.#runFor(STORM_PAUSE_MS);
    this.#checks.atRest();
  }

  /** Nothing is kept from anybody then. */
  async #writeOff(one: Instance, backend: string): Promise<void> {
    const scene = this.#scene;
    scene.say(`${one.name} writes off the dead in ${backend}`);
    let problem: unknown;
    one.counter.forgive(backend).catch((error: unknown) => {
      problem = error;
    });
    await this.#runFor(STORM_PAUSE_MS);
    if (problem !== undefined) throw problem;
    for (const dimension of DIMENSIONS) {
      const held = scene.world.redis.heldOf(one.counter.period().key, bucketOf(backend), backend, dimension);
      if (held > 0) scene.fail(`${held} ${dimension} of ${backend} are held, and what the dead had was written off`);
    }
  }

  /** Whoever comes now knows all of it as soon as it holds it. */
  async #comeLate(): Promise<void> {
    const scene = this.#scene;
    if (!scene.random.chance(0.5)) return;
    const late = scene.boot();
    await this.#runFor(LATE_MS);
    if (!late.isReady) scene.fail(`${late.name} did not become ready`);
    let [held, problem]: [number, unknown] = [0, undefined];
    for (const name of scene.names) {
      // Right when it is held: it may be let go of soon.
      const looked = Promise.resolve(scene.ensure(late, name)).then(() => {
        this.#checks.seesAllStored(late);
        held += 1;
      });
      looked.catch((error: unknown) => {
        problem = error;
      });
    }
    await this.#runFor(LATE_MS);
    if (problem !== undefined) throw problem;
    if (held < scene.names.length) scene.fail(`${late.name} holds ${held} of ${scene.names.length}`);
  }
}
