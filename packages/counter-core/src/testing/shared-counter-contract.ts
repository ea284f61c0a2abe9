import { describe, expect, it } from "vitest";
import type { CounterBackend } from "../counter.ts";
import type { UsageStore } from "../hops/usage-store.ts";
import { STORAGE_DIMENSIONS, type Tally, type Usage } from "../model/usage.ts";
import { memoryStore } from "../stores/memory-store.ts";

/** Counters that share one state which is theirs alone, as those of several processes would. */
export interface SharedCounters {
  /** Another instance: the backends `oci` and `b2`, the storage dimensions, UTC months, the machine's clock. */
  create(): Promise<CounterBackend>;
  /** From now on nothing passes between the instances and what they share; what is under way may get lost. */
  cut(): void | Promise<void>;
  /** It passes again. */
  heal(): void | Promise<void>;
  /** What is shared is lost, as if a server had been restarted empty. */
  wipe(): void | Promise<void>;
  /** The instance is gone as if it had been killed: it shares and answers nothing any more. */
  kill(counter: CounterBackend): void | Promise<void>;
  dispose(): void | Promise<void>;
}

export interface SharedCounterContractOptions {
  readonly open: () => Promise<SharedCounters>;
  /** The longest that it takes until all instances agree again, in milliseconds. @default 10_000 */
  readonly agreeWithinMs?: number;
}

const ZERO: Usage = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };

/** What every `CounterBackend` promises that is shared by several instances, as vitest tests, above all when things fail. */
export function sharedCounterContract(name: string, options: SharedCounterContractOptions): void {
  const { open, agreeWithinMs: timeout = 10_000 } = options;

  const withInstances = async (
    count: number,
    work: (shared: SharedCounters, counters: readonly CounterBackend[]) => Promise<void>,
  ): Promise<void> => {
    const shared = await open();
    try {
      const counters: CounterBackend[] = [];
      for (let i = 0; i < count; i++) counters.push(await shared.create());
      await work(shared, counters);
    } finally {
      await shared.dispose();
    }
  };

  /** Waits until each of them sees exactly this; more would be a count too many, and ends the wait at once. */
  const allSee = async (counters: readonly CounterBackend[], truth: Partial<Usage>): Promise<void> => {
    const expected = { ...ZERO, ...truth };
    const seen = (): readonly Usage[] =>
      counters.map((counter) => {
        const total = counter.totalAll("oci");
        for (const dimension of STORAGE_DIMENSIONS) expectAtMost(total[dimension], expected[dimension]);
        return total;
      });
    await expect.poll(seen, { timeout, interval: 10 }).toEqual(counters.map(() => expected));
  };

  describe(`${name} is shared`, { timeout: 6 * timeout + 30_000 }, () => {
    it.each([2, 8])("by %i instances, all of which come to see the sum of what all recorded", (count) =>
      withInstances(count, async (_, counters) => {
        counters.forEach((counter, i) => void counter.addAll("oci", { apiRequests: 1, egressBytes: 10 * i }));
        await allSee(counters, { apiRequests: count, egressBytes: 5 * count * (count - 1) });
        expect(counters.map((counter) => counter.totalAll("b2"))).toEqual(counters.map(() => ZERO));
      }),
    );

    it("with one that comes later", () =>
      withInstances(1, async (shared, [first]) => {
        first?.add("oci", "apiRequests", 5);
        const second = await shared.create();
        await allSee([first as CounterBackend, second], { apiRequests: 5 });
      }));

    it("and goes on by itself while nothing passes: each keeps what it knew, and all agree again afterwards", () =>
      withInstances(2, async (shared, counters) => {
        for (const counter of counters) counter.add("oci", "apiRequests", 3);
        await allSee(counters, { apiRequests: 6 });
        await shared.cut();
        for (let i = 0; i < 50; i++) {
          for (const counter of counters) counter.add("oci", "apiRequests", 1);
          await new Promise((resolve) => setTimeout(resolve, 5));
          expect(counters.map((counter) => counter.totalAll("oci").apiRequests)).toEqual([6 + i + 1, 6 + i + 1]);
        }
        await shared.heal();
        await allSee(counters, { apiRequests: 106 });
      }));

    it("and stores what it counted itself while nothing passes", () =>
      withInstances(2, async (shared, counters) => {
        const store = memoryStore();
        for (const counter of counters) counter.add("oci", "apiRequests", 3);
        await allSee(counters, { apiRequests: 6 });
        await shared.cut();
        for (const counter of counters) {
          counter.add("oci", "apiRequests", 1);
          await flush(counter, store);
        }
        expect(await storedOf(store, counters)).toBe(8);
      }));

    it("and loses nothing and doubles nothing when it is cut and healed over and over", () =>
      withInstances(2, async (shared, counters) => {
        for (let i = 1; i <= 6; i++) {
          for (const counter of counters) counter.add("oci", "apiRequests", 1);
          await shared.cut();
          for (const counter of counters) counter.add("oci", "apiRequests", 1);
          await shared.heal();
        }
        await allSee(counters, { apiRequests: 24 });
      }));

    it("and comes back whole when all that was shared is lost", () =>
      withInstances(2, async (shared, counters) => {
        const store = memoryStore();
        const [first, second] = counters as readonly [CounterBackend, CounterBackend];
        first.add("oci", "apiRequests", 3);
        second.add("oci", "apiRequests", 4);
        await allSee(counters, { apiRequests: 7 });
        await shared.wipe();
        expect(first.totalAll("oci").apiRequests).toBe(7);
        first.add("oci", "apiRequests", 1);
        await allSee(counters, { apiRequests: 8 });
        const third = await shared.create();
        await allSee([...counters, third], { apiRequests: 8 });
        await flush(first, store);
        await flush(second, store);
        expect(await storedOf(store, counters)).toBe(8);
      }));

    it("and has what a killed instance had stored before all that was shared was lost", () =>
      withInstances(2, async (shared, [first, second]) => {
        const store = memoryStore();
        first?.add("oci", "apiRequests", 3);
        second?.add("oci", "apiRequests", 4);
        await allSee([first as CounterBackend, second as CounterBackend], { apiRequests: 7 });
        await flush(first as CounterBackend, store);
        await shared.kill(first as CounterBackend);
        await shared.wipe();
        const third = await shared.create();
        await expect
          .poll(
            async () => {
              await refresh(second as CounterBackend, store);
              return third.totalAll("oci").apiRequests;
            },
            { timeout },
          )
          .toBe(7);
      }));

    it("and stores what a killed instance had shared and not stored, at another's second flush", () =>
      withInstances(2, async (shared, [victim, survivor]) => {
        const store = memoryStore();
        victim?.addAll("oci", { apiRequests: 3, egressBytes: 500 });
        survivor?.add("oci", "apiRequests", 1);
        await allSee([victim as CounterBackend, survivor as CounterBackend], { apiRequests: 4, egressBytes: 500 });
        await shared.kill(victim as CounterBackend);
        for (let i = 0; i < 2; i++) {
          await refresh(survivor as CounterBackend, store);
          await flush(survivor as CounterBackend, store);
        }
        expect(await storedOf(store, [victim as CounterBackend, survivor as CounterBackend])).toBe(4);
      }));

    it("and stores all that was shared anew in a store that has lost what it had, also what a killed instance counted", () =>
      withInstances(2, async (shared, [victim, survivor]) => {
        const store = memoryStore();
        victim?.addAll("oci", { apiRequests: 3, egressBytes: 500 });
        survivor?.add("oci", "apiRequests", 1);
        await allSee([victim as CounterBackend, survivor as CounterBackend], { apiRequests: 4, egressBytes: 500 });
        await flush(victim as CounterBackend, store);
        await shared.kill(victim as CounterBackend);
        await refresh(survivor as CounterBackend, store);
        await flush(survivor as CounterBackend, store);
        survivor?.unconfirm();
        const empty = memoryStore();
        await flush(survivor as CounterBackend, empty);
        expect(await storedOf(empty, [victim as CounterBackend, survivor as CounterBackend])).toBe(4);
      }));
  });
}

/** What `UsageTracker.flush` does after it has learned. */
async function flush(counter: CounterBackend, store: UsageStore): Promise<void> {
  const tallies = await counter.tallies();
  if (tallies.length > 0) await store.merge(tallies);
  counter.confirm(tallies);
}

/** What `UsageTracker.refresh` does. */
async function refresh(counter: CounterBackend, store: UsageStore): Promise<void> {
  const { key } = counter.period();
  const { usage: stored } = await store.totals(key, counter.writer);
  const wanted = counter.learn(key, stored);
  if (wanted.length > 0) await counter.absorb(await store.tallies(key, wanted));
}

/** The requests that these writers have in the store. */
async function storedOf(store: UsageStore, counters: readonly CounterBackend[]): Promise<number> {
  const writers = new Set(counters.map(({ writer }) => writer));
  const rows: readonly Tally[] = await store.tallies((counters[0] as CounterBackend).period().key, ["oci"]);
  return rows.reduce((sum, { writer, usage }) => sum + (writers.has(writer) ? (usage.apiRequests ?? 0) : 0), 0);
}

function expectAtMost(actual: number, bound: number): void {
  if (actual > bound) throw new Error(`an instance sees ${actual}, the truth is ${bound}`);
}
