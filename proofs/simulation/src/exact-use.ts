import type { Hold } from "@usage/counter-core";
import { bucketOf } from "@usage/counter-redis";
import { Book } from "./book.ts";
import { BYTES_A_REQUEST, LEASE_MS, limitsOf } from "./exact-limits.ts";
import { DIMENSIONS, type Dimension, type Instance } from "./instance.ts";
import type { Scene } from "./scene.ts";

/** Longer than a lease by any clock, and than a late request that was sent twice. */
const HEARD_MS = 2 * LEASE_MS + 7_000;

interface OpenWork {
  readonly instance: Instance;
  readonly hold: Hold<Dimension>;
}

/** What is really used where limits are exact, by whomever, dead or not; and what it may be. Each check fails the simulation. */
export class ExactUse {
  readonly #scene: Scene;
  #limit: number;
  /** When somebody last worked with a limit. */
  readonly #inUse = new Map<number, number>();
  #works: OpenWork[] = [];
  /** By run, period, backend, dimension: what holds were settled with above what they kept. */
  readonly #excess = new Book();
  /** The same, of what nobody could know when others were granted it. */
  readonly #hidden = new Book();
  /** The same, of what was written off. */
  readonly #forgiven = new Book();
  /** By run, period, backend: when the last answered push was sent. */
  readonly #served = new Map<string, number>();
  /**
   * The same by writer, of pushes that said what the writer has of limits: a run knows nothing of a slice that a snapshot shows
   * again, of a generation that it is not any more.
   */
  readonly #said = new Map<string, number>();
  /** Whether the limit changes: else it is the one that nobody may pass. */
  readonly changes: boolean;
  /** How rare it is that anything fails: where all fails all the time, nothing is granted. */
  readonly calm: number;
  /** In some runs what the dead have is written off by itself. */
  readonly forgives: { readonly forgiveAfterMs?: number };
  admitted = 0;
  refused = 0;
  excused = 0;
  forgiven = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.calm = scene.random.pick([20, 150, 400]);
    this.changes = scene.random.chance(0.5);
    this.forgives = scene.random.chance(0.3) ? { forgiveAfterMs: scene.random.pick([200, 2_000]) } : {};
    this.#limit = 10 + scene.random.below(scene.random.chance(0.5) ? 40 : 150);
  }

  /** What the instances that start now work with, in requests. */
  get limit(): number {
    return this.#limit;
  }

  served(run: string, period: string, backend: string, sentAtMs: number): void {
    raise(this.#served, [run, period, backend].join("\n"), sentAtMs);
  }

  said(writer: string, period: string, backend: string, sentAtMs: number): void {
    raise(this.#said, [writer, period, backend].join("\n"), sentAtMs);
  }

  /** Uses something at once, or keeps it free for work that goes on. */
  use(instance: Instance, backend: string): void {
    const { random } = this.#scene;
    const { tracker, counter, name } = instance;
    const requests = 1 + random.below(random.chance(0.7) ? 2 : 6);
    const usage = { requests, bytes: random.below(requests * BYTES_A_REQUEST) };
    if (random.chance(0.5)) {
      if (tracker.tryRecord(backend, usage)) this.#recorded(instance, counter.period().key, backend, usage);
      else this.refused += 1;
      return;
    }
    const hold = tracker.tryReserve(backend, usage, { ttlMs: 500 + random.below(6_000) });
    if (hold === undefined) {
      this.refused += 1;
      return;
    }
    this.#works.push({ instance, hold });
    this.#scene.say(`${name} holds ${usage.requests} requests, ${usage.bytes} bytes free for ${backend}`);
    this.#admitted(instance, hold.period.key, backend, usage);
  }

  /** Something happens to work that goes on, or ended already. */
  act(): void {
    const { random } = this.#scene;
    const works = this.#works.filter(({ instance }) => instance.isReady);
    if (works.length === 0) return;
    const { instance, hold } = random.pick(works);
    const what = random.below(8);
    if (what === 0) {
      const more = { requests: 1, bytes: random.below(BYTES_A_REQUEST) };
      if (hold.extend(more)) {
        this.#scene.say(`${instance.name} extends a hold of ${hold.backend}`);
        this.#admitted(instance, hold.period.key, hold.backend, more);
      }
    } else if (what === 1) {
      this.#scene.say(`${instance.name} voids a hold of ${hold.backend}`);
      hold.void();
    } else this.settle(instance, hold, random.chance(0.1));
  }

  /** @param isAbove - Whether more is used than it keeps free. */
  settle(instance: Instance, hold: Hold<Dimension>, isAbove = false): void {
    const { random } = this.#scene;
    const { state, usage: kept } = hold;
    // Its backend would have to be held again.
    if (state === "expired" && !instance.counter.has(hold.backend)) return;
    const isEnded = state === "settled" || state === "voided";
    const part = random.chance(0.5) ? 1 : random.next();
    const above = isAbove ? 3 : 0;
    const most = state === "expired" ? { requests: 2, bytes: BYTES_A_REQUEST } : kept;
    const usage = {
      requests: Math.floor(most.requests * part) + above,
      bytes: Math.floor(most.bytes * part) + above,
    };
    const before = isEnded ? JSON.stringify(instance.counter.mine()) : "";
    hold.settle(usage);
    if (isEnded) {
      if (JSON.stringify(instance.counter.mine()) !== before) this.#scene.fail(`a hold that was ${state} ended again`);
      return;
    }
    const { key } = hold.period;
    for (const dimension of DIMENSIONS) {
      const excess = Math.max(0, usage[dimension] - kept[dimension]);
      this.#excess.add(excess, instance.name, key, hold.backend, dimension);
    }
    this.#scene.say(`${instance.name} settles a hold, which was ${state}, with ${usage.requests} of ${hold.backend}`);
    this.#scene.noteRecorded(instance.name, key, hold.backend, usage);
  }

  /** All work of some instances ends. */
  endAll(instances: readonly Instance[]): void {
    for (const { instance, hold } of this.#works) {
      if (!instances.includes(instance) || !instance.isReady) continue;
      if (hold.state === "open" && this.#scene.random.chance(0.7)) this.settle(instance, hold);
      else hold.void();
    }
  }

  /** The limit is another one; each instance hears of it at its time. */
  changeLimit(): void {
    const { random, timeline, instances } = this.#scene;
    this.#noteInUse();
    this.#limit = 10 + random.below(random.chance(0.5) ? 40 : 150);
    this.#scene.say(`the limit is ${this.#limit}`);
    for (const instance of instances) {
      const limit = this.#limit;
      timeline.after(random.below(1_500), () =>
        instance.machine.run(() => {
          if (limit !== this.#limit) return;
          this.#noteInUse();
          instance.setLimit(limit);
          this.#scene.say(`${instance.name} works with the limit ${limit}`);
        }),
      );
    }
  }

  /** Everybody has heard of the limit. */
  tellAll(): void {
    this.#noteInUse();
    for (const instance of this.#scene.instances) if (!instance.machine.isDead) instance.setLimit(this.#limit);
  }

  /** Somebody writes off what the dead keep from others, or what somebody has who need not be dead. */
  forgive(instance: Instance): void {
    const { random, instances } = this.#scene;
    const [backend = ""] = this.#scene.names;
    if (!instance.counter.has(backend)) return;
    const options = random.chance(0.3) ? { writer: random.pick(instances).name } : {};
    this.#scene.say(`${instance.name} writes off ${options.writer ?? "the dead"} in ${backend}`);
    instance.counter.forgive(backend, options).catch(() => {});
  }

  /** A writer was forgiven something: others may use it once more. */
  wroteOff(writer: string, period: string, backend: string, dimension: string, amount: number, isNamed: boolean): void {
    const [run = ""] = writer.split(".", 1);
    const silentMs = this.#scene.timeline.nowMs - (this.#said.get([writer, period, backend].join("\n")) ?? 0);
    const what = `${amount} ${dimension} of ${backend} in ${period} that ${writer} has are written off`;
    if (!isNamed && silentMs < LEASE_MS) this.#scene.failLater(`${what}, and it was heard ${silentMs} ms before`);
    this.#scene.say(what);
    this.forgiven += amount;
    this.#forgiven.add(amount, run, period, backend, dimension);
  }

  /** Somebody was granted something: whatever others have and nobody knows may be used once more. */
  granted(period: string, backend: string, dimension: string, excess: number): void {
    const { redis } = this.#scene.world;
    if (excess > 0)
      this.#scene.failLater(`${excess} ${dimension} of ${backend} more than a limit are granted in ${period}`);
    for (const { name } of this.#scene.instances) {
      const of = [name, period, backend, dimension];
      const known = redis.spokenFor(period, bucketOf(backend), backend, name, dimension);
      const hidden = this.#usedBy(name, period, backend, dimension as Dimension) - known;
      if (hidden <= this.#excess.get(...of) + this.#forgiven.get(...of) || hidden <= this.#hidden.get(...of)) continue;
      const silentMs = this.#scene.timeline.nowMs - (this.#served.get([name, period, backend].join("\n")) ?? 0);
      const what = `${hidden} ${dimension} of ${backend} in ${period} that ${name} has were granted`;
      if (silentMs < LEASE_MS && !this.#scene.losses.hasStoreLost) {
        this.#scene.failLater(`${what}, and it was heard ${silentMs} ms before`);
      }
      this.#scene.say(`${what}: it was not heard for ${silentMs} ms`);
      this.excused += hidden;
      this.#hidden.set(hidden, ...of);
    }
  }

  /** What an instance may take once all who live have given back what they do not use: nothing where any limit is passed. */
  room({ counter }: Instance, backend: string): number {
    const { redis } = this.#scene.world;
    const { key } = counter.period();
    const of = [key, bucketOf(backend), backend] as const;
    const totals = counter.totalAll(backend);
    const limits = limitsOf(this.#limit);
    const [requests, bytes] = DIMENSIONS.map((dimension) => {
      const spoken = this.#sum(({ name, machine }) => {
        const used = this.#scene.recorded.get(name, key, backend, dimension);
        return machine.isDead ? redis.spokenFor(...of, name, dimension) : used;
      });
      // What it once saw of others it sees for good, whoever lost it since.
      return limits[dimension] - Math.max(spoken, totals[dimension]);
    }) as [number, number];
    return bytes < 0 ? 0 : requests;
  }

  /**
   * Once nobody uses anything any more: who lives has given back all that it has not used. Of a backend that it let go of, a snapshot
   * of Redis from before may show a slice again, which nobody knows of any more: that is written off.
   */
  assertNothingKept(): void {
    const { redis } = this.#scene.world;
    for (const { counter, name, isReady } of this.#scene.instances) {
      if (!isReady) continue;
      const { key } = counter.period();
      for (const backend of counter.backends()) {
        for (const dimension of DIMENSIONS) {
          const kept = redis.unused(key, bucketOf(backend), backend, name, dimension);
          if (kept > 0) this.#scene.fail(`${name} keeps ${kept} ${dimension} of ${backend} that it does not use`);
        }
      }
    }
  }

  take(instance: Instance, backend: string, requests: number): boolean {
    const isTaken = instance.tracker.tryRecord(backend, { requests });
    if (isTaken) this.#recorded(instance, instance.counter.period().key, backend, { requests, bytes: 0 });
    return isTaken;
  }

  used(period: string, backend: string, dimension: Dimension): number {
    return this.#sum(({ name }) => this.#usedBy(name, period, backend, dimension));
  }

  #recorded(instance: Instance, period: string, backend: string, usage: Record<Dimension, number>): void {
    this.#scene.say(`${instance.name} records ${usage.requests} requests, ${usage.bytes} bytes for ${backend}`);
    this.#scene.noteRecorded(instance.name, period, backend, usage);
    this.#admitted(instance, period, backend, usage);
  }

  #admitted(instance: Instance, period: string, backend: string, usage: Record<Dimension, number>): void {
    const { name } = instance;
    this.admitted += 1;
    this.#assertGranted(instance, period, backend);
    this.#noteInUse();
    const since = this.#scene.timeline.nowMs - HEARD_MS;
    const most = Math.max(...[...this.#inUse].map(([limit, at]) => (at >= since ? limit : 0)));
    for (const dimension of DIMENSIONS.filter((one) => usage[one] > 0)) {
      const used = this.used(period, backend, dimension);
      const limit = limitsOf(most)[dimension];
      const excused = this.#sum((one) => {
        const of = [one.name, period, backend, dimension];
        return this.#excess.get(...of) + this.#hidden.get(...of) + this.#forgiven.get(...of);
      });
      if (used > limit + excused) {
        const what = `${used} ${dimension} of ${backend} are used and held in ${period}`;
        this.#scene.fail(`${what}, the limit is ${limit}, and ${excused} more are excused (${name})`);
      }
    }
  }

  /** Nobody has more than it was granted, but for what was settled above its hold. */
  #assertGranted({ counter, name }: Instance, period: string, backend: string): void {
    if (counter.period().key !== period) return;
    const { redis } = this.#scene.world;
    counter.ceilings(backend).forEach(({ used, ceiling }, d) => {
      const dimension = DIMENSIONS[d] as Dimension;
      const what = `${name} uses and holds ${used} ${dimension} of ${backend} in ${period}`;
      // It need not know yet that it was taken for dead.
      const forgiven = this.#forgiven.get(name, period, backend, dimension);
      const excess = this.#excess.get(name, period, backend, dimension) + forgiven;
      if (used > ceiling + excess) this.#scene.fail(`${what}, and may ${ceiling}`);
      if (this.#scene.losses.count > 0) return;
      const granted = redis.granted(period, bucketOf(backend), backend, name, dimension);
      // What was settled above a hold counts as granted, before Redis has heard of it.
      if (ceiling > Math.max(granted + excess, used))
        this.#scene.fail(`${what}, takes ${ceiling} for granted, and has ${granted}`);
    });
  }

  #usedBy(run: string, period: string, backend: string, dimension: Dimension): number {
    let used = this.#scene.recorded.get(run, period, backend, dimension);
    for (const { instance, hold } of this.#works) {
      const isMeant = instance.name === run && hold.backend === backend && hold.period.key === period;
      if (isMeant && hold.state === "open") used += hold.usage[dimension];
    }
    return used;
  }

  #noteInUse(): void {
    for (const { limit, machine } of this.#scene.instances) {
      if (!machine.isDead) this.#inUse.set(limit, this.#scene.timeline.nowMs);
    }
  }

  #sum(of: (instance: Instance) => number): number {
    return this.#scene.instances.reduce((sum, instance) => sum + of(instance), 0);
  }
}

function raise(times: Map<string, number>, key: string, atMs: number): void {
  times.set(key, Math.max(atMs, times.get(key) ?? 0));
}
