import type { RedisSnapshot } from "./model-redis.ts";
import { type Network, NO_FAULTS } from "./network.ts";
import { BACKENDS, type Scene } from "./scene.ts";

/** Everything that may happen to a scene. */
export class Acts {
  readonly #scene: Scene;
  readonly #snapshots: RedisSnapshot[] = [];

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Something happens: what, chance decides. */
  any(): void {
    const scene = this.#scene;
    const { random, instances } = scene;
    const { redis, toRedis, toStore } = scene.world;
    const instance = random.pick(instances);
    for (let i = random.below(3); i > 0; i--) scene.record(random.pick(instances));
    switch (random.below(40)) {
      case 0:
        scene.kill(instance);
        break;
      case 1:
        if (instance.machine.isRunning) scene.say(`${instance.name} freezes`);
        instance.machine.freeze();
        break;
      case 2:
      case 3:
        this.thawAll();
        break;
      case 4:
        if (!instance.isReady) return;
        scene.say(`${instance.name} stops in order`);
        instance.stop();
        scene.boot();
        break;
      case 5:
        scene.lose("Redis is wiped", () => redis.restore());
        break;
      case 6: {
        const keys = redis.keys();
        if (keys.length === 0) return;
        const key = random.pick(keys);
        scene.lose(`${key} is evicted`, () => redis.evict(key));
        break;
      }
      case 7:
        scene.say("Redis saves a snapshot");
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
        scene.storeFails = random.chance(0.5) ? 0 : 0.5;
        scene.say(`the database fails half-way with ${scene.storeFails}`);
        break;
      case 14:
        if (instance.machine.isDead) return;
        scene.addLate(instance);
        break;
      case 15:
        this.#discard(random.pick(BACKENDS));
        break;
      case 16:
      case 17:
      case 18:
        scene.say("both networks work");
        this.mendNetworks();
        break;
    }
  }

  mendNetworks(): void {
    const { toRedis, toStore } = this.#scene.world;
    Object.assign(toRedis.faults, NO_FAULTS);
    Object.assign(toStore.faults, NO_FAULTS);
  }

  thawAll(): void {
    for (const { machine } of this.#scene.instances) machine.thaw();
    this.#scene.say("whoever was frozen thaws");
  }

  #change(server: string, { faults }: Network): void {
    const random = this.#scene.random;
    const some = (): number => (random.chance(0.5) ? 0 : 0.3);
    Object.assign(faults, {
      down: random.chance(0.3),
      silent: random.chance(0.2),
      lostRequest: some(),
      lostReply: some(),
      doubled: some(),
      late: some(),
    });
    this.#scene.say(`the network to ${server}: ${JSON.stringify(faults)}`);
  }

  #discard(backend: string): void {
    if (!this.#scene.discards) return;
    this.#scene.say(`everybody discards ${backend}`);
    this.#scene.discarded.add(backend);
    for (const { machine, counter } of this.#scene.instances) if (!machine.isDead) counter.discard(backend);
  }

  /** What is hardest to notice: other instances, and other beginnings of the same counts, with everybody's networks sound. */
  async storm(wait: () => Promise<void>): Promise<void> {
    const { random, instances, world } = this.#scene;
    const restart = (): void => {
      for (const instance of [...instances]) this.#scene.kill(instance);
    };
    const wipe = (): void => this.#scene.lose("Redis is wiped", () => world.redis.restore());
    const rollBack = (): void => this.#rollBack();
    const steps = random.chance(0.5)
      ? [restart, wipe, wait, rollBack]
      : Array.from({ length: 6 }, () => random.pick([restart, wipe, rollBack, wait, wait]));
    for (const step of steps) await step();
  }

  #rollBack(): void {
    if (this.#snapshots.length === 0) return;
    const snapshot = this.#scene.random.pick(this.#snapshots);
    this.#scene.lose("Redis restarts from a snapshot", () => this.#scene.world.redis.restore(snapshot));
  }
}
