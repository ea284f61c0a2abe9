import type { Hold, Tally } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { bucketOf, type MergeItem, RedisCounterBackend, type SharedCounts } from "@usage/counter-redis";
import { ModelRedis, ModelStore } from "@usage/simulation";
import { countsOf } from "./model-counts.ts";

export const DIMENSIONS = ["requests"] as const;
const MONTH = "2026-01";
export const OCI = "oci";
/** Shorter than what is not used is kept. */
export const LEASE_MS = 400;
/** Longer than it takes to ripen, to be suspended, and to be probed again. */
export const LONG_MS = 2 * LEASE_MS;
/** Longer than what is not used is kept. */
export const IDLE_MS = 4_000;
const STEP_MS = 5;
const FLUSH_MS = 200;

/** What is between a member and Redis. */
export interface Link {
  /** What it sends does not arrive. */
  isCut: boolean;
  /** What it has of OCI is refused there: it has no right to that key, say. */
  isRefused: boolean;
  /** Replies take so long, in milliseconds. */
  replyMs: number;
  /** What it sends arrives twice. */
  doubles: boolean;
}

/** Instances with exact limits, on one model of Redis, one of the store and one clock, that do what they are told. */
export class Members {
  readonly redis: ModelRedis = new ModelRedis();
  readonly store: ModelStore = new ModelStore();
  readonly clock: ManualClock;
  readonly #all: Member[] = [];

  constructor(start = "2026-01-15T12:00:00Z") {
    this.clock = new ManualClock(start);
  }

  /** Another one, which knows what is stored, unless it `isBlind`, and what is shared. */
  async join(name: string, limit: number, isBlind = false): Promise<Member> {
    const member = new Member(name, this, isBlind);
    this.#all.push(member);
    await member.counter.start();
    const read = async (_: string, names: readonly string[]): Promise<readonly Tally[]> => {
      if (isBlind) throw new Error("the database is away");
      return this.store.tallies(member.counter.period().key, names);
    };
    await member.counter.ensure([OCI], read, { whenUnknown: "admit" });
    member.limit(limit);
    await this.pass(FLUSH_MS);
    return member;
  }

  /** Time passes; everybody shares, flushes and tends its slices. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.elapsed() + ms;
    while (this.clock.elapsed() < until) {
      this.clock.advance(STEP_MS);
      if (this.clock.elapsed() % FLUSH_MS === 0) for (const member of this.#all) void member.flush();
      await new Promise(setImmediate);
    }
  }

  /** What Redis knows that one has used or may use without asking. */
  spokenFor(name: string): number {
    return this.redis.spokenFor(MONTH, bucketOf(OCI), OCI, name, "requests");
  }

  /** All that is used and held, by whomever, dead or not. */
  used(): number {
    return this.#all.reduce((sum, member) => sum + member.used(), 0);
  }
}

export class Member {
  readonly counter: RedisCounterBackend<"requests">;
  readonly link: Link = { isCut: false, isRefused: false, replyMs: 0, doubles: false };
  readonly #name: string;
  readonly #members: Members;
  readonly #isBlind: boolean;
  readonly #holds: Hold<"requests">[] = [];
  #admitted = 0;
  #isFrozen = false;
  #waiting: (() => void)[] = [];
  #flushing: Promise<void> | undefined;

  constructor(name: string, members: Members, isBlind: boolean) {
    const { redis, clock, store } = members;
    const model = countsOf(redis, DIMENSIONS, async (_, execute) => {
      const { isCut, doubles, replyMs } = this.link;
      if (isCut) return new Promise(() => {});
      const reply = execute();
      if (doubles) clock.after(LEASE_MS, execute);
      if (replyMs > 0) await new Promise<void>((resume) => clock.after(replyMs, resume));
      return reply;
    });
    const counts: SharedCounts = {
      ...model,
      merge: async (bucket, run, items) => {
        const isRefused = ({ backend }: MergeItem): boolean => this.link.isRefused && backend === OCI;
        const reply = await model.merge(
          bucket,
          run,
          items.filter((item) => !isRefused(item)),
        );
        const left = [...reply.items];
        return {
          ...reply,
          items: items.map((item) => (isRefused(item) ? new Error("refused") : (left.shift() as Error))),
        };
      },
    };
    this.#isBlind = isBlind;
    this.#name = name;
    this.#members = members;
    this.counter = new RedisCounterBackend(counts, {
      dimensions: DIMENSIONS,
      clock: {
        now: () => clock.now(),
        elapsed: () => clock.elapsed(),
        after: (ms, callback) => clock.after(ms, () => this.#run(callback)),
      },
      writer: name,
      enforcement: "exact",
      leaseMs: LEASE_MS,
      pushTimeoutMs: 0.9 * LEASE_MS,
      probeIntervalMs: 100,
      claim: async (period, buckets) => {
        const fresh = store.claim(buckets.map((bucket) => `${period} ${bucket}`));
        return buckets.filter((bucket) => fresh.includes(`${period} ${bucket}`));
      },
    });
  }

  limit(requests: number): void {
    this.counter.setLimits(OCI, { requests });
  }

  /** Whether so much was admitted. */
  take(requests: number): boolean {
    const isTaken = this.counter.tryAddAll(OCI, { requests });
    if (isTaken) this.#admitted += requests;
    return isTaken;
  }

  /** All that is admitted, one after the other, while time passes. */
  async takeAll(ms: number): Promise<number> {
    let taken = 0;
    for (let left = ms; left > 0; left -= 25) {
      while (this.take(1)) taken += 1;
      await this.#members.pass(25);
    }
    return taken;
  }

  hold(requests: number): Hold<"requests"> | undefined {
    const hold = this.counter.hold(OCI, { requests });
    if (hold !== undefined) this.#holds.push(hold);
    return hold;
  }

  /** Waits until so much can be held. */
  async untilHeld(requests: number): Promise<Hold<"requests">> {
    for (let i = 0; i < 400; i++) {
      const hold = this.hold(requests);
      if (hold !== undefined) return hold;
      await this.#members.pass(25);
    }
    throw new Error(`${this.#name} cannot hold ${requests}`);
  }

  /** Waits until it may use so much without asking, and uses none of it. */
  async untilSlice(requests: number): Promise<void> {
    (await this.untilHeld(requests)).void();
  }

  settle(hold: Hold<"requests">): void {
    this.#admitted += hold.usage.requests;
    hold.settle();
  }

  used(): number {
    return this.#holds.reduce((sum, { usage }) => sum + usage.requests, this.#admitted);
  }

  /** Nothing happens to it until it thaws: it is dead where it never does. */
  freeze(): void {
    this.link.isCut = true;
    this.#isFrozen = true;
  }

  thaw(): void {
    this.link.isCut = false;
    this.#isFrozen = false;
    for (const callback of this.#waiting.splice(0)) callback();
  }

  flush(): Promise<void> {
    if (this.#isFrozen || this.#isBlind) return Promise.resolve();
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing.catch(() => {});
  }

  #run(callback: () => void): void {
    if (this.#isFrozen) this.#waiting.push(callback);
    else callback();
  }

  async #flush(): Promise<void> {
    const { store } = this.#members;
    const { key } = this.counter.period();
    const wanted = this.counter.learn(key, store.totals(key, this.#name, DIMENSIONS, {}, 0).usage as never);
    await this.counter.absorb(store.tallies(key, wanted));
    const taken = await this.counter.tallies();
    store.merge(taken);
    this.counter.confirm(taken);
  }
}
