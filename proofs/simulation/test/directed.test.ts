import { type Tally, type UsageStore, utcMonths } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import {
  type Bucket,
  bucketOf,
  type ClaimOpened,
  type EnforcementOptions,
  type MergedItem,
  RedisCounterBackend,
  type SharedCounts,
} from "@usage/counter-redis";
import { ModelRedis, ModelStore } from "@usage/simulation";
import { beforeEach, describe, expect, it } from "vitest";
import { countsOf, type Way } from "./model-counts.ts";

const DIMENSIONS = ["requests"] as const;
const MONTH = "2026-01";
/** Names of one bucket. */
const [OCI, LEO] = ["oci", "leo"];
const BUCKET: Bucket = { period: utcMonths.at(Date.UTC(2026, 0, 15)), number: bucketOf(OCI) };

/** Schedules that chance hits on once in a hundred thousand, written down: instances whose clocks stand still, step by step. */
describe("a schedule", () => {
  let redis: ModelRedis;
  let store: ModelStore;
  let clock: ManualClock;
  beforeEach(() => {
    redis = new ModelRedis(() => clock.now());
    store = new ModelStore();
    clock = new ManualClock("2026-01-15T12:00:00Z");
  });

  /** @param before What happens before a call; where it throws, Redis is away for that. */
  async function instance(writer: string, before: (call: string) => void = () => {}): Promise<Counter> {
    const counts = countsOf(redis, DIMENSIONS, heard(before));
    const counter = new RedisCounterBackend(counts, { dimensions: DIMENSIONS, clock, writer });
    await counter.start();
    return counter;
  }

  async function exact(writer: string, counts: SharedCounts, terms: EnforcementOptions = {}): Promise<Counter> {
    const options = { dimensions: DIMENSIONS, clock, writer, ...terms, enforcement: "exact" } as const;
    const counter = new RedisCounterBackend(counts, options);
    await counter.start();
    counter.bind({ tallies: async (period, names) => store.tallies(period, names) });
    await hold(counter, OCI);
    counter.setLimits(OCI, { requests: 10 });
    await counter.sync();
    return counter;
  }

  /** Time passes, and everything happens that follows from it. */
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 10) {
      clock.advance(Math.min(10, ms - passed));
      await new Promise(setImmediate);
    }
  };
  const rows = async (_: string, names: readonly string[]): Promise<readonly Tally[]> => store.tallies(MONTH, names);
  const hold = (counter: Counter, ...names: readonly string[]): Promise<void> => counter.ensure(names, rows);
  /** What is taken is stored, unless the store refuses it. */
  const flush = async (counter: Counter, isRefused: (tally: Tally) => boolean = () => false): Promise<void> => {
    const taken = (await counter.tallies()).filter((tally) => !isRefused(tally));
    store.merge(taken);
    counter.confirm(taken);
    // Whatever is to be told to Redis has been told after the next exchange.
    await counter.sync();
  };
  const stored = (backend: string): number => {
    return store.totals(MONTH, "", DIMENSIONS, {}, 0).usage.get(backend)?.all.requests ?? 0;
  };
  const shared = (backend: string): number => {
    const tallies = redis.tallies(BUCKET, [backend]).flatMap((read) => read.tallies);
    return tallies.reduce((sum, { usage }) => sum + (usage.requests ?? 0), 0);
  };

  it("in which a store does not answer who opens a bucket, and answers when it is asked again", async () => {
    let asked = 0;
    const counter = await exact("one", countsOf(redis, DIMENSIONS, heard()), {
      claim: (_, buckets) => {
        asked += 1;
        return asked === 1 ? new Promise(() => {}) : Promise.resolve(buckets);
      },
    });
    let isAdmitted = false;
    for (let i = 0; i < 30 && !isAdmitted; i++) {
      counter.learn(MONTH, new Map());
      await counter.absorb([]);
      await clock.advance(1_000);
      isAdmitted = counter.tryAddAll(OCI, { requests: 10 });
    }
    expect([isAdmitted, asked]).toEqual([true, 2]);
  });

  it("in which a month ends while nothing fails: nobody finds the next one unready", async () => {
    clock = new ManualClock("2026-01-31T23:59:30Z");
    const claim = claimsOf(new Set());
    const counters: Counter[] = [];
    for (const writer of ["one", "two", "three"]) {
      counters.push(await exact(writer, countsOf(redis, DIMENSIONS, heard()), { claim }));
    }
    for (const counter of counters) counter.setLimits(OCI, { requests: 10_000 });
    const use = (): boolean[] => counters.map((counter) => counter.tryAddAll(OCI, { requests: 1 }));
    for (let i = 0; i < 1_100; i++) {
      use();
      await pass(25);
    }
    expect(use()).toEqual([true, true, true]);
    await pass(2_500);
    expect(counters.map((counter) => counter.period().key)).toEqual(["2026-02", "2026-02", "2026-02"]);
    for (let i = 0; i < 40; i++) {
      expect(counters.map((counter) => counter.standing(OCI).problem)).toEqual([undefined, undefined, undefined]);
      use();
      await pass(10);
    }
    expect(use()).toEqual([true, true, true]);
  });

  it("in which a store is bound when slices are out, and Redis loses them: nobody takes them for free", async () => {
    let isCutOff = false;
    const counts = [
      countsOf(redis, DIMENSIONS, heard()),
      countsOf(
        redis,
        DIMENSIONS,
        heard(() => {
          if (isCutOff) throw new Error("Redis is away");
        }),
      ),
    ];
    const [one, two] = (await Promise.all(counts.map((to, i) => exact(`writer-${i}`, to)))) as [Counter, Counter];
    let hold: unknown;
    for (let i = 0; i < 500 && hold === undefined; i++) {
      hold = two.hold(OCI, { requests: 6 });
      one.fits(OCI, { requests: 1 });
      await pass(50);
    }
    expect(hold).toBeDefined();
    isCutOff = true;
    redis.wipe();
    const marks = new Set<string>();
    const tallies = async (period: string, names: readonly string[]) => store.tallies(period, names);
    const claim: UsageStore["claim"] = async (asked) => {
      const fresh = asked.filter(({ mark }) => !marks.has(mark));
      for (const { mark } of fresh) marks.add(mark);
      return fresh;
    };
    one.bind({ tallies, claim });
    for (let i = 0; i < 180; i++) {
      expect(one.tryAddAll(OCI, { requests: 5 })).toBe(false);
      await pass(50);
    }
    expect(marks.size).toBeGreaterThan(0);
  });

  it("in which a hold is open for long, and whoever has it is written off once it is dead", async () => {
    let isDead = false;
    const terms = { claim: claimsOf(new Set()), leaseMs: 1_000, forgiveAfterMs: 1_000 };
    const dying = countsOf(
      redis,
      DIMENSIONS,
      heard(() => {
        if (isDead) throw new Error("it is dead");
      }),
    );
    const [a, b] = [await exact("a", dying, terms), await exact("b", countsOf(redis, DIMENSIONS, heard()), terms)];
    let kept: ReturnType<typeof a.hold>;
    for (let i = 0; i < 100 && kept === undefined; i++) {
      kept = a.hold(OCI, { requests: 6 });
      await pass(50);
    }
    expect(kept).toBeDefined();
    await pass(10_000);
    expect([b.heldAll(OCI), b.standing(OCI).forgiven]).toEqual([{ requests: 6 }, undefined]);
    isDead = true;
    await pass(5_000);
    expect([b.heldAll(OCI), b.standing(OCI).forgiven]).toEqual([{ requests: 0 }, { requests: 6 }]);
  });

  it("in which somebody is written off who lives, and Redis is wiped once it has heard of that", async () => {
    let isCutOff = false;
    const terms = { claim: claimsOf(new Set()) };
    const cut = countsOf(
      redis,
      DIMENSIONS,
      heard(() => {
        if (isCutOff) throw new Error("it is cut off");
      }),
    );
    const [a, b] = [await exact("a", cut, terms), await exact("b", countsOf(redis, DIMENSIONS, heard()), terms)];
    const holds = async (one: Counter, requests: number): Promise<ReturnType<typeof one.hold>> => {
      let held: ReturnType<typeof one.hold>;
      for (let i = 0; i < 400 && held === undefined; i++) {
        held = one.hold(OCI, { requests });
        await pass(50);
      }
      expect(held).toBeDefined();
      return held;
    };
    const kept = await holds(a, 6);
    isCutOff = true;
    expect(await b.forgive(OCI, { writer: "a" })).toEqual([{ writer: "a", usage: { requests: 6 } }]);
    const all = await holds(b, 10);
    // It does not know yet, and has all that was kept free.
    kept?.void();
    isCutOff = false;
    await pass(1_100);
    expect([a.standing(OCI).forgiven, a.tryAddAll(OCI, { requests: 1 })]).toEqual([{ requests: 6 }, false]);
    all?.void();
    await pass(5_000);
    redis.wipe();
    // Whoever was written off says so again: else nobody could have that any more.
    await holds(b, 10);
  });

  it("in which a flush stores what is pushed while it is under way", async () => {
    const [dying, other] = [await instance("dying"), await instance("other")];
    await hold(dying, OCI);
    dying.add(OCI, "requests", 1);
    await dying.sync();
    const taken = await dying.tallies();
    dying.add(OCI, "requests", 1);
    await dying.sync();
    store.merge(taken);
    dying.confirm(taken);
    await dying.sync();
    // It dies. What it pushed last is in no flush of its own.
    for (let i = 0; i < 2; i++) await flush(other);
    expect(stored(OCI)).toBe(2);
  });

  it("in which the store refuses a part of what an instance owes, until it is dead", async () => {
    const [dying, other] = [await instance("dying"), await instance("other")];
    await hold(dying, OCI, LEO);
    for (const backend of [OCI, LEO]) dying.add(backend, "requests", 3);
    await dying.sync();
    await flush(dying, ({ backend }) => backend === LEO);
    for (let i = 0; i < 2; i++) await flush(other);
    expect([stored(OCI), stored(LEO)]).toEqual([3, 3]);
  });

  it("in which the store refuses a part of what was found of a dead instance", async () => {
    const [dying, other] = [await instance("dying"), await instance("other")];
    await hold(dying, OCI, LEO);
    for (const backend of [OCI, LEO]) dying.add(backend, "requests", 3);
    await dying.sync();
    for (let i = 0; i < 3; i++) await flush(other, ({ backend }) => backend === LEO);
    expect([stored(OCI), stored(LEO)]).toEqual([3, 0]);
    for (let i = 0; i < 2; i++) await flush(other);
    expect([stored(OCI), stored(LEO)]).toEqual([3, 3]);
  });

  it("in which a backend is taken up again while Redis is away and the store lost a part of it", async () => {
    let isAway = false;
    const counter = await instance("one", () => {
      if (isAway) throw new Error("Redis is away");
    });
    await hold(counter, OCI);
    counter.add(OCI, "requests", 2);
    await counter.sync();
    await flush(counter);
    const before = store.snapshot();
    counter.add(OCI, "requests", 3);
    await counter.sync();
    await flush(counter);
    expect(counter.release(OCI)).toBe(true);
    store.lose(before);
    isAway = true;
    await hold(counter, OCI);
    isAway = false;
    counter.add(OCI, "requests", 3);
    await counter.sync();
    await flush(counter);
    // Under the name of before, three more would hide behind the five that Redis has.
    expect(shared(OCI)).toBe(8);
    expect(counter.totalAll(OCI)).toEqual({ requests: 8 });
  });

  it("in which the store loses what a dead instance had stored", async () => {
    const [dying, other] = [await instance("dying"), await instance("other")];
    await hold(dying, OCI);
    dying.add(OCI, "requests", 3);
    await dying.sync();
    for (let i = 0; i < 2; i++) await flush(dying);
    for (let i = 0; i < 2; i++) await flush(other);
    store.lose();
    other.unconfirm();
    for (let i = 0; i < 2; i++) await flush(other);
    expect(stored(OCI)).toBe(3);
  });

  it("in which somebody has stored what Redis never heard of, and is dead: who learns of it tells Redis", async () => {
    const one = await instance("one");
    await hold(one, OCI);
    await one.sync();
    store.merge([{ writer: "dead", period: MONTH, backend: OCI, usage: { requests: 5 } }]);
    const { usage } = store.totals(MONTH, "one", DIMENSIONS, {}, 0);
    await one.absorb(await rows(MONTH, one.learn(MONTH, usage, [OCI])));
    await one.sync();
    expect(shared(OCI)).toBe(5);
  });

  it("in which the store loses what was let go of", async () => {
    let isAway = true;
    const counter = new RedisCounterBackend(
      countsOf(
        redis,
        DIMENSIONS,
        heard(() => {
          if (isAway) throw new Error("Redis is away");
        }),
      ),
      { dimensions: DIMENSIONS, clock, writer: "one", backends: [OCI] },
    );
    counter.add(OCI, "requests", 5);
    const taken = await counter.tallies();
    store.merge(taken);
    counter.confirm(taken);
    // Only the store has it: it stays until Redis has it, too.
    counter.release(OCI);
    isAway = false;
    for (let i = 0; i < 2; i++) {
      await counter.sync();
      clock.advance(1_000);
    }
    expect(counter.release(OCI)).toBe(true);
    store.lose();
    counter.unconfirm();
    for (let i = 0; i < 2; i++) await flush(counter);
    expect(stored(OCI)).toBe(5);
  });

  it("in which the counts of one backend are evicted, and nobody counts in it any more", async () => {
    const options = { dimensions: DIMENSIONS, clock, writer: "one", backends: [OCI], sweepIntervalMs: 1_000 };
    const counter = new RedisCounterBackend(countsOf(redis, DIMENSIONS, heard()), options);
    counter.add(OCI, "requests", 5);
    const syncs = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await counter.sync();
        clock.advance(1_000);
      }
    };
    await syncs();
    redis.evict(`hash ${MONTH} ${BUCKET.number} ${OCI}`);
    expect(shared(OCI)).toBe(0);
    await syncs();
    expect(shared(OCI)).toBe(5);
  });

  it("in which others count while the store tells what it has of a backend that is to be held", async () => {
    const one = new RedisCounterBackend(countsOf(redis, DIMENSIONS, heard()), {
      dimensions: DIMENSIONS,
      clock,
      writer: "one",
    });
    const other = await instance("other");
    await hold(other, OCI);
    other.add(OCI, "requests", 5);
    await other.sync();
    // It is whole: nobody looks a second time.
    const look = { backend: OCI, writer: "other", own: [5] };
    const { epoch } = redis.merge(BUCKET, "other", DIMENSIONS, [look]);
    redis.merge(BUCKET, "other", DIMENSIONS, [{ ...look, mark: epoch }]);
    const read = Promise.withResolvers<readonly Tally[]>();
    const held = one.ensure([OCI], () => read.promise);
    await new Promise(setImmediate);
    other.add(OCI, "requests", 2);
    await other.sync();
    // It hears that the backend has changed, which it does not hold yet.
    await one.sync();
    read.resolve([]);
    await held;
    await one.sync();
    expect(one.totalAll(OCI)).toEqual({ requests: 7 });
  });

  it("in which both lose a backend that is taken up again, and late rows bring it back", async () => {
    const counter = await instance("one");
    await hold(counter, OCI);
    counter.add(OCI, "requests", 5);
    await counter.sync();
    await flush(counter);
    const late = store.tallies(MONTH, [OCI]);
    expect(counter.release(OCI)).toBe(true);
    redis.wipe();
    store.lose();
    await hold(counter, OCI);
    counter.add(OCI, "requests", 3);
    // Somebody read them before they were lost.
    redis.merge(BUCKET, "other", DIMENSIONS, [{ backend: OCI, writer: "other", own: [0], rows: late }]);
    await counter.sync();
    expect(counter.totalAll(OCI)).toEqual({ requests: 8 });
    await counter.sync();
    await flush(counter);
    expect([shared(OCI), stored(OCI)]).toEqual([8, 8]);
  });

  it("in which a reply comes that was given up on, right when it is known that something has changed", async () => {
    const other = await instance("other");
    await hold(other, OCI);
    let answer = (): void => {};
    let isLate = true;
    const counts: SharedCounts = {
      ...countsOf(redis, DIMENSIONS, heard()),
      merge(at, run, items) {
        const reply = redis.merge(at, run, DIMENSIONS, items);
        if (!isLate) return Promise.resolve(reply);
        isLate = false;
        return new Promise((resolve) => {
          answer = () => resolve(reply);
        });
      },
    };
    const one = new RedisCounterBackend(counts, { dimensions: DIMENSIONS, clock, writer: "one", backends: [OCI] });
    /** One exchange, and a look at what has changed. */
    const sync = async (): Promise<void> => {
      const done = one.sync();
      await new Promise(setImmediate);
      clock.advance(1_000);
      await done;
    };
    await expect(sync()).rejects.toThrow("no answer from Redis");
    other.add(OCI, "requests", 5);
    await other.sync();
    // What it looks at after the first exchange shows what it knows already.
    for (let i = 0; i < 2; i++) await sync();
    expect(one.totalAll(OCI)).toEqual({ requests: 5 });
    other.add(OCI, "requests", 2);
    await other.sync();
    await sync();
    expect(one.totalAll(OCI)).toEqual({ requests: 5 });
    answer();
    await new Promise(setImmediate);
    await sync();
    expect(one.totalAll(OCI)).toEqual({ requests: 7 });
  });

  it.each([1, 2])("in which what the store has is brought in parts, and part %i gets lost", async (part) => {
    let parts = 0;
    const counter = await instance("one", (call) => {
      if (call === "rows" && ++parts === part) throw new Error("no answer");
    });
    redis.merge(BUCKET, "other", DIMENSIONS, [{ backend: OCI, writer: "other", own: [1] }]);
    await counter.ensure([OCI], () => Promise.reject(new Error("the database is away")));
    await counter.sync();
    store.merge(Array.from({ length: 1_100 }, (_, i) => rowOf(`dead-${i}`)));
    const wanted = counter.learn(MONTH, store.totals(MONTH, "one", DIMENSIONS, {}, 0).usage as never);
    expect(wanted).toEqual([OCI]);
    await counter.absorb(store.tallies(MONTH, wanted));
    expect(parts).toBeGreaterThan(0);
    const look = { backend: OCI, writer: "looks", own: [0] };
    const [found] = redis.merge(BUCKET, "looks", DIMENSIONS, [look]).items;
    expect(found).toMatchObject({ exists: true, isWhole: false } satisfies Partial<MergedItem>);
  });
});

type Counter = RedisCounterBackend<"requests">;

/** Marks that all have in common. */
function claimsOf(known: Set<string>): ClaimOpened {
  return async (period, buckets) => {
    const opened = buckets.filter((bucket) => !known.has(`${period} ${bucket}`));
    for (const bucket of opened) known.add(`${period} ${bucket}`);
    return opened;
  };
}

function rowOf(writer: string): Tally {
  return { writer, period: MONTH, backend: OCI, usage: { requests: 1 } };
}

/** `before` hears of each call; where it throws, Redis is away for that. */
function heard(before: (call: string) => void = () => {}): Way {
  return async (call, execute) => {
    before(call);
    return execute();
  };
}
