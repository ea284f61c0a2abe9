import {
  LocalCounterBackend,
  type StoredUsage,
  type Tally,
  ThreadedCounterBackend,
  type UsageStore,
} from "@usage/counter-core";
import type { ManualClock } from "@usage/counter-core/testing";
import { UsageTracker } from "@usage/tracker";
import fc from "fast-check";

const BACKENDS = ["oci", "b2"] as const;
/** Brought into a process only when its schedule says so. */
const LATE_BACKEND = "r2";
const PROCESSES = 3;
const DAY_MS = 86_400_000;

/** What can happen to one of several processes that share a store. */
export type Step =
  | { readonly kind: "record"; readonly process: number; readonly backend: string; readonly amount: number }
  | {
      readonly kind: "flush";
      readonly process: number;
      readonly fault: FlushFault;
      /** Recorded while the store is at work. */
      readonly meanwhile: number;
    }
  | { readonly kind: "replay"; readonly batch: number }
  | { readonly kind: "refresh"; readonly process: number; readonly appliedLater: boolean }
  | { readonly kind: "apply late refresh" }
  | { readonly kind: "restart"; readonly process: number; readonly killed: boolean }
  | { readonly kind: "discard"; readonly process: number; readonly backend: string }
  | { readonly kind: "ensure"; readonly process: number; readonly backend: string }
  | { readonly kind: "release"; readonly process: number; readonly backend: string }
  | { readonly kind: "clock"; readonly days: number };

type FlushFault = "none" | "unreachable" | "half-way" | "lost reply";

const process = fc.nat(PROCESSES - 1);
const backend = fc.constantFrom(...BACKENDS, LATE_BACKEND);

/** Random schedules; records and flushes are what happens most. */
export const schedules: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ kind: fc.constant("record" as const), process, backend, amount: fc.nat(100) }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("flush" as const),
        process,
        fault: fc.constantFrom<FlushFault>("none", "none", "unreachable", "half-way", "lost reply"),
        meanwhile: fc.nat(5),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("replay" as const), batch: fc.nat(50) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("refresh" as const), process, appliedLater: fc.boolean() }) },
    { weight: 2, arbitrary: fc.constant({ kind: "apply late refresh" as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), process, killed: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("discard" as const), process, backend }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("ensure" as const), process, backend }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("release" as const), process, backend }) },
    // A day or a month ahead, mostly; sometimes the clock steps back, as far as into a month that was let go of.
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("clock" as const), days: fc.constantFrom(1, 30, 30, 65, -1, -30, -70) }),
    },
  ),
  { minLength: 1, maxLength: 60, size: "max" },
);

/** Amounts by period and backend. */
class Book {
  readonly #amounts = new Map<string, number>();

  add(period: string, name: string, amount: number): void {
    this.#amounts.set(`${period}/${name}`, this.of(period, name) + amount);
  }

  of(period: string, name: string): number {
    return this.#amounts.get(`${period}/${name}`) ?? 0;
  }

  keys(): readonly (readonly [string, string])[] {
    return [...this.#amounts.keys()].map((key) => key.split("/") as [string, string]);
  }
}

/** One run of one process: the real counter and tracker, and what it is known to have recorded. */
class Run {
  readonly counter: LocalCounterBackend | ThreadedCounterBackend;
  readonly tracker: UsageTracker;
  /** What its store does with merges. */
  merge: UsageStore["merge"];
  /** All that it ever recorded. */
  readonly recorded = new Book();
  /** All that it recorded and did not discard: what must be in the store in the end. */
  kept = new Book();
  /** Backends that it ever discarded: part of their counts may be stored all the same. */
  readonly discarded = new Set<string>();

  constructor(clock: ManualClock, store: UsageStore, threaded: boolean) {
    this.counter = threaded
      ? new ThreadedCounterBackend(BACKENDS, { clock, threads: 1 })
      : new LocalCounterBackend(BACKENDS, { clock });
    this.merge = store.merge;
    const merge: UsageStore["merge"] = (...sent) => this.merge(...sent);
    this.tracker = new UsageTracker(this.counter, { store: { ...store, merge }, clock });
  }
}

/** Runs a schedule against a store, and checks after each step what must hold at every instant. */
export class ScheduleRun {
  readonly #clock: ManualClock;
  readonly #store: UsageStore;
  readonly #truth = new Book();
  readonly #runs: Run[] = [];
  readonly #live: Run[] = [];
  readonly #sent: (readonly Tally[])[] = [];
  readonly #late: (() => Promise<void>)[] = [];
  readonly #threaded: boolean;

  /** @param threaded Whether the counters are ones that threads share, where backends are fixed. */
  constructor(clock: ManualClock, store: UsageStore, threaded: boolean) {
    this.#clock = clock;
    this.#store = store;
    this.#threaded = threaded;
    for (let i = 0; i < PROCESSES; i++) this.#boot(i);
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      await this.#take(step);
      await this.#check();
    }
    await this.#checkAtRest();
  }

  #boot(index: number): Run {
    const run = new Run(this.#clock, this.#store, this.#threaded);
    this.#live[index] = run;
    this.#runs.push(run);
    return run;
  }

  async #take(step: Step): Promise<void> {
    const run = "process" in step ? (this.#live[step.process] as Run) : undefined;
    switch (step.kind) {
      case "record":
        return this.#record(run as Run, step.backend, step.amount);
      case "flush":
        return this.#flush(run as Run, step);
      case "replay": {
        // A message that was sent before arrives once more, late.
        const batch = this.#sent[step.batch % Math.max(1, this.#sent.length)];
        if (batch !== undefined) await this.#store.merge(batch);
        return;
      }
      case "refresh":
        return this.#refresh(run as Run, step.appliedLater);
      case "apply late refresh":
        return this.#late.shift()?.();
      case "restart":
        if (!step.killed) await (run as Run).tracker.flush();
        return this.#boot(step.process).tracker.refresh();
      case "discard":
        if (!(run as Run).counter.backends().includes(step.backend)) return;
        (run as Run).counter.discard(step.backend);
        (run as Run).kept = without((run as Run).kept, step.backend);
        (run as Run).discarded.add(step.backend);
        return;
      case "ensure":
        if (!this.#threaded) await (run as Run).tracker.ensure(step.backend);
        return;
      case "release":
        (run as Run).tracker.release(step.backend);
        return;
      case "clock":
        // A second is all that a counter needs to notice.
        this.#clock.set(this.#clock.now() + step.days * DAY_MS);
        return this.#clock.advance(1_000);
    }
  }

  #record(run: Run, name: string, amount: number): void {
    if (!run.counter.backends().includes(name)) return;
    run.tracker.record(name, { egressBytes: amount });
    const { key } = run.counter.period();
    for (const book of [this.#truth, run.recorded, run.kept]) book.add(key, name, amount);
  }

  async #flush(
    run: Run,
    { fault, meanwhile }: { readonly fault: FlushFault; readonly meanwhile: number },
  ): Promise<void> {
    run.merge = async (tallies, options) => {
      this.#sent.push(tallies);
      if (fault === "unreachable") throw new Fault();
      const sent = fault === "half-way" ? tallies.slice(0, tallies.length >> 1) : tallies;
      const rejected = await this.#store.merge(sent, options);
      this.#record(run, "oci", meanwhile);
      if (fault !== "none") throw new Fault();
      return rejected;
    };
    await run.tracker.flush().catch(expectFault);
    run.merge = this.#store.merge;
  }

  async #refresh(run: Run, appliedLater: boolean): Promise<void> {
    if (!appliedLater) return run.tracker.refresh();
    // What is read now reaches the counter some steps later.
    const { key } = run.counter.period();
    const asked = run.counter.backends();
    const { usage } = await this.#store.totals(key, run.counter.writer, { backends: asked });
    this.#late.push(async () => {
      const wanted = run.counter.learn(key, usage, asked);
      if (wanted.length > 0) await run.counter.absorb(await this.#store.tallies(key, wanted));
    });
  }

  async #check(): Promise<void> {
    const tallies = await this.#storedTallies();
    for (const run of this.#runs) {
      for (const [period, name] of run.recorded.keys()) {
        const stored = storedBy(tallies, run, period, name);
        expectAtMost(stored, run.recorded.of(period, name), `stored of one writer for ${name} in ${period}`);
      }
    }
    for (const run of this.#live) {
      const { key } = run.counter.period();
      for (const name of run.counter.backends()) {
        const total = run.counter.totalAll(name).egressBytes;
        expectAtMost(total, this.#truth.of(key, name), `total of a process for ${name}`);
        const unstored = run.counter.load(name, "egressBytes");
        expectAtLeast(unstored, 0, `unstored of ${name}`);
        expectAtMost(unstored, run.kept.of(key, name), `unstored of ${name}`);
        // Recorded is stored and unstored; after a lost reply part of it is, for now, both.
        expectAtLeast(
          storedBy(tallies, run, key, name) + unstored,
          run.kept.of(key, name),
          `stored and unstored of ${name}`,
        );
      }
    }
  }

  /** After everybody has flushed and refreshed: all that was not lost with a killed process is there, once, in its month. */
  async #checkAtRest(): Promise<void> {
    while (this.#late.length > 0) await this.#late.shift()?.();
    for (const run of this.#live) await run.tracker.flush();
    for (const run of this.#live) await run.tracker.refresh();
    await this.#check();
    const tallies = await this.#storedTallies();
    for (const run of this.#live) {
      for (const [period, name] of run.kept.keys()) {
        const stored = storedBy(tallies, run, period, name);
        expectAtLeast(stored, run.kept.of(period, name), `kept of ${name} in ${period}`);
        if (!run.discarded.has(name)) expectAtMost(stored, run.kept.of(period, name), `stored of ${name} in ${period}`);
      }
      expectAtMost((await run.counter.tallies()).length, 0, "tallies that are left");
      const { key } = run.counter.period();
      const { usage: stored } = await this.#store.totals(key, run.counter.writer);
      for (const name of run.counter.backends()) {
        const known = (stored.get(name) as StoredUsage | undefined)?.all.egressBytes ?? 0;
        expectAtLeast(run.counter.totalAll(name).egressBytes, known, `total of ${name} after a refresh`);
      }
    }
  }

  async #storedTallies(): Promise<readonly Tally[]> {
    const periods = [...new Set(this.#truth.keys().map(([period]) => period))];
    const rows = await Promise.all(periods.map((period) => this.#store.tallies(period, [...BACKENDS, LATE_BACKEND])));
    return rows.flat();
  }
}

class Fault extends Error {}

function expectFault(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
}

function storedBy(tallies: readonly Tally[], run: Run, period: string, name: string): number {
  return tallies
    .filter((tally) => tally.period === period && tally.backend === name && isOf(run, tally.writer))
    .reduce((sum, { usage }) => sum + (usage.egressBytes ?? 0), 0);
}

/** A run's counts go by its own name, and by that name and a suffix for those that began at zero again. */
function isOf(run: Run, writer: string): boolean {
  return writer === run.counter.writer || writer.startsWith(`${run.counter.writer}.`);
}

function without(book: Book, name: string): Book {
  const rest = new Book();
  for (const [period, other] of book.keys()) if (other !== name) rest.add(period, other, book.of(period, other));
  return rest;
}

function expectAtMost(actual: number, bound: number, what: string): void {
  if (actual > bound) throw new Error(`${what}: ${actual} is above ${bound}`);
}

function expectAtLeast(actual: number, bound: number, what: string): void {
  if (actual < bound) throw new Error(`${what}: ${actual} is below ${bound}`);
}
