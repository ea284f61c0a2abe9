import { LocalCounterBackend, memoryStore, type StorageDimension } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { describe, expect, it } from "vitest";

const BACKENDS = ["acme", "umbrella", "initech"] as const;
const STEPS = 60;
const SEEDS = 300;
const [JANUARY, FEBRUARY, APRIL] = ["2026-01-20T00:00:00Z", "2026-02-10T00:00:00Z", "2026-04-10T00:00:00Z"] as const;

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Two runs on one store, whose replies come late and in any order; backends come and go, the clock steps over months. */
class Schedule {
  readonly #random: () => number;
  readonly #clock = new ManualClock(JANUARY);
  readonly #store = memoryStore();
  readonly #counters = Array.from({ length: 2 }, () => {
    return new LocalCounterBackend<StorageDimension>([], { clock: this.#clock, idleMs: 1_000 });
  });
  /** What is under way: each ends when it is let go on. */
  #waiting: PromiseWithResolvers<void>[] = [];
  /** What was recorded, by month and backend. */
  readonly #recorded = new Map<string, number>();
  /** What may be missing of it, since it was discarded. */
  readonly #discarded = new Map<string, number>();
  /** The highest total that a counter showed, by month, backend and counter; forgotten where it was discarded. */
  readonly #seen = new Map<string, number>();

  constructor(seed: number) {
    this.#random = randomOf(seed);
  }

  async run(mayDiscard: boolean): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      await this.#step(this.#pick(this.#counters), this.#pick(BACKENDS), mayDiscard);
      this.#look();
    }
    await this.#end();
  }

  async #step(counter: LocalCounterBackend, backend: string, mayDiscard: boolean): Promise<void> {
    const dice = Math.floor(this.#random() * 100);
    if (dice < 30) this.#record(counter, backend);
    else if (dice < 45) void this.#ensure(counter, backend);
    else if (dice < 60) void this.#flush(counter);
    else if (dice < 68) void this.#learn(counter);
    else if (dice < 76) counter.release(backend);
    else if (dice < 80) this.#clock.advance(this.#pick([1_000, 5_000]));
    else if (dice < 84) this.#jump(this.#pick([JANUARY, FEBRUARY, FEBRUARY, APRIL]));
    else if (dice < 87 && mayDiscard) await this.#discard(counter, backend);
    else this.#waiting.splice(Math.floor(this.#random() * this.#waiting.length), 1)[0]?.resolve();
    await turn();
  }

  #record(counter: LocalCounterBackend, backend: string): void {
    if (!counter.has(backend)) return;
    const amount = 1 + Math.floor(this.#random() * 5);
    counter.addAll(backend, { apiRequests: amount });
    const key = `${counter.period().key} ${backend}`;
    this.#recorded.set(key, (this.#recorded.get(key) ?? 0) + amount);
  }

  async #ensure(counter: LocalCounterBackend, backend: string): Promise<void> {
    await counter.ensure([backend], async (period, names) => {
      const rows = await this.#store.tallies(period, names);
      await this.#later();
      return rows;
    });
  }

  /** Its outcome may never be known, and it may arrive at any time. */
  async #flush(counter: LocalCounterBackend): Promise<void> {
    const tallies = await counter.tallies();
    await this.#later();
    await this.#store.merge(tallies);
    if (this.#random() < 0.2) return;
    await this.#later();
    counter.confirm(tallies);
  }

  async #learn(counter: LocalCounterBackend): Promise<void> {
    const { key } = counter.period();
    const { usage: stored } = await this.#store.totals(key, counter.writer);
    await this.#later();
    const wanted = counter.learn(key, stored);
    const rows = await this.#store.tallies(key, wanted);
    await this.#later();
    await counter.absorb(rows);
  }

  async #discard(counter: LocalCounterBackend, backend: string): Promise<void> {
    if (!counter.has(backend)) return;
    const index = this.#counters.indexOf(counter);
    for (const { period, usage } of await counter
      .tallies()
      .then((all) => all.filter((one) => one.backend === backend))) {
      const key = `${period} ${backend}`;
      this.#discarded.set(key, (this.#discarded.get(key) ?? 0) + (usage.apiRequests ?? 0));
    }
    counter.discard(backend);
    for (const key of this.#seen.keys()) if (key.endsWith(` ${backend} ${index}`)) this.#seen.delete(key);
  }

  #jump(date: string): void {
    this.#clock.set(date);
    this.#clock.advance(1_000);
    // What is stored of a month is let go of once the next one has ended.
    if (date === APRIL) for (const key of this.#seen.keys()) if (!key.startsWith("2026-04")) this.#seen.delete(key);
  }

  /** No total is above the truth, and none goes back, however often its backend comes and goes. */
  #look(): void {
    for (const [index, counter] of this.#counters.entries()) {
      const { key: period } = counter.period();
      for (const backend of BACKENDS) {
        const seen = `${period} ${backend} ${index}`;
        if (!counter.backends().includes(backend)) {
          // What it knows of other months, to which the clock may be set, goes with it until it learns that again.
          for (const key of this.#seen.keys()) {
            if (key !== seen && key.endsWith(` ${backend} ${index}`)) this.#seen.delete(key);
          }
          continue;
        }
        const { apiRequests: total } = counter.totalAll(backend);
        expect(total, seen).toBeLessThanOrEqual(this.#recorded.get(`${period} ${backend}`) ?? 0);
        expect(total, seen).toBeGreaterThanOrEqual(this.#seen.get(seen) ?? 0);
        this.#seen.set(seen, total);
      }
    }
  }

  /** Once all that was under way has arrived, everything is stored once, and everybody knows it. */
  async #end(): Promise<void> {
    while (this.#waiting.length > 0) {
      for (const one of this.#waiting.splice(0)) one.resolve();
      for (let i = 0; i < 5; i++) await turn();
    }
    this.#jump(FEBRUARY);
    for (const counter of this.#counters) await this.#whole(() => this.#flush(counter));
    for (const counter of this.#counters) await this.#whole(() => this.#flush(counter));
    for (const [key, recorded] of this.#recorded) {
      const [period, backend = ""] = key.split(" ");
      const rows = await this.#store.history({ backend });
      const stored = rows.find((row) => row.period === period)?.usage.apiRequests ?? 0;
      expect(stored, key).toBeLessThanOrEqual(recorded);
      expect(stored, key).toBeGreaterThanOrEqual(recorded - (this.#discarded.get(key) ?? 0));
    }
    const { key } = (this.#counters[0] as LocalCounterBackend).period();
    const { usage: all } = await this.#store.totals(key, "");
    for (const counter of this.#counters) {
      await this.#whole(() => this.#learn(counter));
      await this.#whole(() => counter.ensure(BACKENDS, this.#store.tallies));
      for (const backend of BACKENDS) {
        expect(counter.totalAll(backend).apiRequests).toBe(all.get(backend)?.all.apiRequests ?? 0);
      }
    }
  }

  /** Runs something to its end, and whatever it waits for. */
  async #whole(work: () => Promise<void>): Promise<void> {
    let isOver = false;
    const done = work().finally(() => {
      isOver = true;
    });
    while (!isOver) {
      for (const one of this.#waiting.splice(0)) one.resolve();
      await turn();
    }
    await done;
  }

  #later(): Promise<void> {
    const one = Promise.withResolvers<void>();
    this.#waiting.push(one);
    return one.promise;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }
}

describe("backends that come and go", () => {
  it.each([false, true])(
    "lose and double nothing in random schedules (discarded now and then: %s)",
    async (mayDiscard) => {
      for (let seed = 0; seed < SEEDS; seed++) {
        try {
          await new Schedule(seed).run(mayDiscard);
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
    },
  );
});
