import { LocalCounterBackend, memoryStore, type UsageStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { type ThresholdEvent, ThresholdNotifier, UsageTracker } from "@usage/tracker";
import fc from "fast-check";
import { expect, it } from "vitest";

const BACKENDS = ["acme", "oci"];
const THRESHOLDS = [0.1, 0.5, 0.8, 1];

const instance = fc.nat({ max: 2 });
const backend = fc.constantFrom(...BACKENDS);
const step = fc.oneof(
  fc.record({ kind: fc.constant("use" as const), instance, backend, amount: fc.integer({ min: 1, max: 60 }) }),
  fc.record({ kind: fc.constant("flush" as const), instance }),
  fc.record({ kind: fc.constant("flushAll" as const) }),
  fc.record({ kind: fc.constant("refresh" as const), instance }),
  fc.record({ kind: fc.constant("kill" as const), instance, turns: fc.nat({ max: 12 }) }),
  fc.record({ kind: fc.constant("limit" as const), backend, limit: fc.constantFrom(50, 100, 101, 200) }),
  fc.record({
    kind: fc.constant("faults" as const),
    store: fc.boolean(),
    receiver: fc.constantFrom("takes", "refuses", "hangs"),
  }),
  fc.record({ kind: fc.constant("pass" as const), seconds: fc.constantFrom(5, 40, 700, 4_000, 86_400 * 4) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

async function turn(times: number): Promise<void> {
  for (let i = 0; i < times; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Instances on one store that come, are killed at any instant, and hear of each other through the store alone. */
class Fleet {
  readonly clock = new ManualClock("2026-01-20T00:00:00Z");
  readonly memory = memoryStore({ clock: this.clock });
  readonly told: ThresholdEvent[] = [];
  readonly early: ThresholdEvent[] = [];
  readonly limits = new Map(BACKENDS.map((name) => [name, 100]));
  readonly #random: () => number;
  isStoreFailing = false;
  receiver = "takes";
  members: { readonly tracker: UsageTracker; kill(): void; stop(): Promise<void> }[] = [];

  constructor(seed: number) {
    let state = seed;
    this.#random = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return state / 0x7fff_ffff;
    };
  }

  async start(): Promise<(typeof this.members)[number]> {
    let isDead = false;
    const never = new Promise<never>(() => {});
    /** What fails may have been done, and who is killed hears of nothing any more. */
    const ask = async <T>(work: () => Promise<T>): Promise<T> => {
      if (isDead) return never;
      const [before, after] = [this.#fails(), this.#fails()];
      if (before) throw new Error("not reached");
      const result = await work();
      if (isDead) return never;
      if (after) throw new Error("reply lost");
      return result;
    };
    const { memory } = this;
    const store: UsageStore = {
      dimensions: memory.dimensions,
      merge: (...args) => ask(() => memory.merge(...args)),
      totals: (...args) => ask(() => memory.totals(...args)),
      tallies: (...args) => ask(() => memory.tallies(...args)),
      history: (query) => memory.history(query),
      remove: (name) => memory.remove(name),
      fold: (before) => memory.fold(before),
      claim: (marks) => ask(async () => (await memory.claim?.(marks)) ?? []),
      notices: (...args) => ask(async () => (await memory.notices?.(...args)) ?? []),
      acknowledge: (notices) => ask(async () => memory.acknowledge?.(notices)),
    };
    const counter = new LocalCounterBackend([], { clock: this.clock });
    const limits = (name: string) => ({ apiRequests: this.limits.get(name) ?? 0 });
    const tracker = new UsageTracker(counter, { store, clock: this.clock, limits, whenUnknown: "admit" });
    const onThreshold = (event: ThresholdEvent): Promise<void> | void => (isDead ? never : this.#tell(event));
    const notifier = new ThresholdNotifier({ tracker, clock: this.clock, thresholds: THRESHOLDS, onThreshold });
    notifier.onError(() => {});
    await tracker.ensure(BACKENDS);
    notifier.start();
    const kill = (): void => {
      isDead = true;
    };
    return { tracker, kill, stop: () => notifier.stop() };
  }

  #fails(): boolean {
    return this.isStoreFailing && this.#random() < 0.3;
  }

  async #tell(event: ThresholdEvent): Promise<void> {
    const { usage } = await this.memory.totals(event.period, "", { backends: [event.backend] });
    const stored = usage.get(event.backend)?.all.apiRequests ?? 0;
    if (stored < event.usage || event.usage < event.threshold * event.limit) this.early.push(event);
    if (this.receiver === "hangs") await new Promise(() => {});
    if (this.receiver === "refuses") throw new Error("500");
    this.told.push(event);
  }

  async take(one: Step): Promise<void> {
    const member = "instance" in one ? this.members[one.instance] : undefined;
    if (one.kind === "use" && member !== undefined) {
      await member.tracker.ensure(one.backend);
      member.tracker.record(one.backend, { apiRequests: one.amount });
    }
    if (one.kind === "flush") await member?.tracker.flush().catch(() => {});
    if (one.kind === "flushAll") await Promise.all(this.members.map(({ tracker }) => tracker.flush().catch(() => {})));
    if (one.kind === "refresh") await member?.tracker.refresh().catch(() => {});
    if (one.kind === "kill" && member !== undefined) {
      void member.tracker.flush().catch(() => {});
      await turn(one.turns);
      member.kill();
      this.members[one.instance] = await this.start();
    }
    if (one.kind === "limit") {
      this.limits.set(one.backend, one.limit);
      for (const { tracker } of this.members) tracker.setLimits(one.backend, { apiRequests: one.limit });
    }
    if (one.kind === "faults") {
      this.isStoreFailing = one.store;
      this.receiver = one.receiver;
    }
    if (one.kind === "pass") await this.pass(one.seconds);
  }

  async pass(seconds: number): Promise<void> {
    // In steps that are short enough for each attempt of a delivery to have its turn.
    for (let left = seconds, stepped = 0; left > 0 && stepped < 20; stepped++) {
      const now = Math.min(left, stepped < 10 ? 10 : left / 5 + 10);
      this.clock.advance(now * 1_000);
      left -= now;
      await turn(12);
    }
  }

  /** What is crossed of the current limits in the current period, of what is stored. */
  async crossed(): Promise<readonly string[]> {
    const { usage } = await this.memory.totals(this.clock.now() < Date.UTC(2026, 1) ? "2026-01" : "2026-02", "");
    return Array.from(usage).flatMap(([name, { all }]) => {
      const limit = this.limits.get(name) ?? 0;
      return THRESHOLDS.filter((threshold) => all.apiRequests >= threshold * limit).map(
        (t) => `${name} ${t} of ${limit}`,
      );
    });
  }
}

it("every threshold that is crossed is told once or more, under one id, never early, whatever fails in whatever order", {
  timeout: 240_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), fc.integer(), async (steps, seed) => {
      const fleet = new Fleet(seed);
      for (let i = 0; i < 3; i++) fleet.members.push(await fleet.start());
      for (const one of steps) await fleet.take(one);
      // Nothing fails any more, and some time passes.
      fleet.isStoreFailing = false;
      fleet.receiver = "takes";
      for (let round = 0; round < 3; round++) {
        for (const { tracker } of fleet.members) await tracker.flush();
        for (let i = 0; i < 12; i++) await fleet.pass(400);
      }
      for (const member of fleet.members) await member.stop();
      expect(fleet.early).toEqual([]);
      const identity = ({ period, backend, threshold, limit }: ThresholdEvent) =>
        `${period} ${backend} ${threshold} of ${limit}`;
      const ids = new Map(fleet.told.map((event) => [identity(event), event.id]));
      expect(fleet.told.filter((event) => ids.get(identity(event)) !== event.id)).toEqual([]);
      expect(new Set(ids.values()).size).toBe(ids.size);
      const told = new Set(fleet.told.map(({ backend, threshold, limit }) => `${backend} ${threshold} of ${limit}`));
      expect((await fleet.crossed()).filter((name) => !told.has(name))).toEqual([]);
      // What was claimed is told: the outbox is empty, also an hour later.
      fleet.clock.advance(4_000_000);
      const query = { limit: 1_000, retryMs: { first: 1_000, max: 1_000 } };
      expect(await fleet.memory.notices?.("default", query)).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
