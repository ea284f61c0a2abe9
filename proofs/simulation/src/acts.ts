import { LEASE_MS } from "./exact-limits.ts";
import { BACKENDS, type Instance } from "./instance.ts";
import type { StoreSnapshot } from "./model-store.ts";
import { type Network, NO_FAULTS } from "./network.ts";
import type { RedisSnapshot } from "./redis-data.ts";
import type { Scene } from "./scene.ts";

/** Everything that may happen to a scene. */
export class Acts {
  readonly #scene: Scene;
  readonly #snapshots: RedisSnapshot[] = [];
  readonly #storeSnapshots: StoreSnapshot[] = [];

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Something happens: what, chance decides. */
  any(): void {
    const scene = this.#scene;
    const { random, instances } = scene;
    const { redis, toRedis, toStore } = scene.world;
    const instance = random.pick(instances);
    const { exactUse } = scene.world;
    for (let i = random.below(exactUse === undefined ? 3 : 8); i > 0; i--) scene.record(random.pick(instances));
    if (exactUse !== undefined) {
      for (let i = random.below(3); i > 0; i--) exactUse.act();
      if (exactUse.changes && random.chance(0.03)) exactUse.changeLimit();
      if (random.chance(0.02)) this.#drama();
      if (random.chance(0.03) && instance.isReady) exactUse.forgive(instance);
      if (random.chance(exactUse.calm / 4_000)) this.mendNetworks();
    }
    switch (random.below(40 + (exactUse?.calm ?? 0))) {
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
        // Whoever has counts that the store refuses would not end.
        if (!instance.isReady || scene.storeDoes === "fold") return;
        exactUse?.endAll([instance]);
        scene.say(`${instance.name} stops in order`);
        instance.stop();
        scene.boot();
        break;
      case 5:
        scene.losses.ofRedis("Redis is wiped", () => redis.wipe());
        break;
      case 6: {
        const keys = redis.keys();
        if (keys.length === 0) return;
        const key = random.pick(keys);
        scene.losses.ofRedis(`${key} is evicted`, () => redis.evict(key));
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
        if (!instance.isReady) return;
        this.#release(instance, random.pick(scene.openNames));
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
      case 19: {
        const buckets = redis.buckets();
        if (buckets.length === 0) return;
        const bucket = random.pick(buckets);
        scene.losses.ofRedis(`the bucket ${bucket} is evicted`, () => {
          for (const key of redis.keysOf(bucket)) redis.evict(key);
        });
        break;
      }
      case 20:
        this.#storeSnapshots.push(scene.world.store.snapshot());
        break;
      case 21:
        this.#loseStored();
        break;
      case 22:
      case 23:
        if (scene.storeDoes === "fold") scene.foldMonth();
        break;
    }
  }

  mendNetworks(): void {
    const { toRedis, toStore } = this.#scene.world;
    Object.assign(toRedis.faults, NO_FAULTS);
    Object.assign(toStore.faults, NO_FAULTS);
  }

  thawAll(): void {
    for (const { machine } of this.#scene.instances) {
      machine.thaw();
      machine.cutUntilMs = 0;
    }
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

  /** Somebody is out of reach while Redis loses what it knows, and the others look for what is left. */
  #drama(): void {
    const { random, timeline, instances, world } = this.#scene;
    const one = random.pick(instances);
    one.machine.cutUntilMs = timeline.nowMs + random.below(3 * LEASE_MS);
    this.#scene.say(`${one.name} is cut off`);
    if (random.chance(0.6)) this.#scene.losses.ofRedis("Redis is wiped", () => world.redis.wipe());
    else this.#rollBack();
    for (const delayMs of [150, 400]) {
      timeline.after(delayMs, () => {
        for (const other of instances) if (other !== one && other.isReady) other.flusher.flush().catch(() => {});
      });
    }
  }

  #loseStored(): void {
    const { storeDoes, random, world } = this.#scene;
    if (storeDoes !== "lose" && storeDoes !== "lose silently") return;
    const snapshot =
      this.#storeSnapshots.length > 0 && random.chance(0.7) ? random.pick(this.#storeSnapshots) : undefined;
    this.#scene.losses.ofStore(
      `the database loses what it had, and ${storeDoes === "lose" ? "says so" : "says nothing"}`,
      () => world.store.lose(snapshot, storeDoes === "lose"),
    );
  }

  #release({ tracker, counter, name }: Instance, backend: string): void {
    if (counter.has(backend) && tracker.release(backend)) this.#scene.say(`${name} lets go of ${backend}`);
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
    const wipe = (): void => this.#scene.losses.ofRedis("Redis is wiped", () => world.redis.wipe());
    const rollBack = (): void => this.#rollBack();
    const letGo = (): void => {
      for (const instance of instances) {
        if (instance.isReady) for (const name of this.#scene.openNames) this.#release(instance, name);
      }
    };
    const use = (): void => {
      for (const instance of instances) for (let i = 0; i < 4; i++) this.#scene.record(instance);
    };
    const steps = random.chance(0.4)
      ? [restart, wipe, wait, rollBack]
      : Array.from({ length: 7 }, () => random.pick([restart, wipe, rollBack, letGo, use, wait, wait]));
    for (const step of steps) await step();
  }

  #rollBack(): void {
    if (this.#snapshots.length === 0) return;
    const snapshot = this.#scene.random.pick(this.#snapshots);
    this.#scene.losses.ofRedis("Redis restarts from a snapshot", () => this.#scene.world.redis.restore(snapshot));
  }
}
