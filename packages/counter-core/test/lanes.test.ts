import {
  AmountError,
  attach,
  type StorageDimension,
  type StoredUsage,
  ThreadedCounterBackend,
  type UsageRecorder,
} from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { afterEach, describe, expect, it, vi } from "vitest";

const WRITES = ["add", "exchange", "store", "compareExchange"] as const;

/** Thrown where a thread is terminated. */
class Terminated extends Error {}

/** Runs a thread's work until it has written to shared memory so many times; returns whether it was terminated there. */
function terminatedAfter(writes: number, work: () => void): boolean {
  let left = writes;
  for (const name of WRITES) {
    const original = Atomics[name] as (...args: unknown[]) => unknown;
    vi.spyOn(Atomics as unknown as Record<string, (...args: unknown[]) => unknown>, name).mockImplementation(
      (...args) => {
        if (left-- === 0) throw new Terminated();
        return original(...args);
      },
    );
  }
  try {
    work();
    return false;
  } catch (error) {
    if (!(error instanceof Terminated)) throw error;
    return true;
  } finally {
    vi.restoreAllMocks();
  }
}

afterEach(() => void vi.restoreAllMocks());

/** A counter and three recorders, each as on a thread of its own, with a clock of its own. */
function threads() {
  const clocks = Array.from({ length: 4 }, () => new ManualClock("2026-01-31T23:59:00Z"));
  const [own, ...others] = clocks as [ManualClock, ...ManualClock[]];
  const counter = new ThreadedCounterBackend(["oci", "b2"], { clock: own });
  const recorders = others.map((clock) => attach(counter.handle, { clock }));
  const jump = (thread: number, date: string): void => {
    (clocks[thread] as ManualClock).set(date);
    (clocks[thread] as ManualClock).advance(1_000);
  };
  return { counter, recorders: recorders as [UsageRecorder, UsageRecorder, UsageRecorder], jump };
}

async function byPeriod(counter: ThreadedCounterBackend): Promise<Readonly<Record<string, number>>> {
  const tallies = await counter.tallies();
  const sums = Map.groupBy(tallies, ({ period }) => period);
  return Object.fromEntries(
    Array.from(sums, ([period, all]) => [period, all.reduce((sum, { usage }) => sum + (usage.apiRequests ?? 0), 0)]),
  );
}

describe("a thread that is terminated", () => {
  it("at any write while it turns to another period leaves all counts in their periods, and the others go on", async () => {
    let isTerminated = true;
    let writes = 0;
    for (; isTerminated; writes++) {
      const { counter, recorders, jump } = threads();
      const [dying, living, late] = recorders;
      dying.add("oci", "apiRequests", 1);
      living.add("oci", "apiRequests", 10);
      isTerminated = terminatedAfter(writes, () => {
        jump(1, "2026-02-01T00:00:00Z");
        dying.addAll("oci", { apiRequests: 100 });
      });
      for (const thread of [2, 3, 0]) jump(thread, "2026-02-01T00:00:01Z");
      living.add("oci", "apiRequests", 1_000);
      late.addAll("b2", { apiRequests: 10_000 });
      counter.add("oci", "apiRequests", 100_000);
      const counted = isTerminated ? 0 : 100;
      expect(await byPeriod(counter)).toEqual({ "2026-01": 11, "2026-02": 111_000 + counted });
      expect(counter.totalAll("oci").apiRequests).toBe(101_000 + counted);
      const out = new Float64Array(3);
      living.readTotal("oci", out);
      expect(out[0]).toBe(101_000 + counted);
    }
    expect(writes).toBeGreaterThan(3);
  });

  it("at any write while it attaches takes nothing along, and the others go on", async () => {
    let isTerminated = true;
    for (let writes = 0; isTerminated; writes++) {
      const { counter, recorders } = threads();
      const [living] = recorders;
      living.add("oci", "apiRequests", 1);
      const clock = new ManualClock("2026-01-31T23:59:00Z");
      isTerminated = terminatedAfter(writes, () => void attach(counter.handle, { clock }));
      attach(counter.handle, { clock }).add("oci", "apiRequests", 10);
      expect(await byPeriod(counter)).toEqual({ "2026-01": 11 });
    }
  });
});

describe("threads whose clocks step back and forth", () => {
  it("count each in the period to which some thread has turned, whoever looks when", async () => {
    const { counter, recorders, jump } = threads();
    const [first, second] = recorders;
    const [january, february] = ["2026-01-31T23:59:30Z", "2026-02-01T00:00:30Z"];
    const expected = { "2026-01": 0, "2026-02": 0 };
    let amount = 1;
    for (const [i, date] of [january, february, february, january, february, january, january, february].entries()) {
      jump(1 + (i % 2), date);
      for (const recorder of [first, second]) recorder.add("oci", "apiRequests", amount);
      expected[date === january ? "2026-01" : "2026-02"] += 2 * amount;
      if (i % 3 === 0) counter.totalAll("oci");
      if (i % 3 === 1) await counter.tallies();
      amount *= 2;
    }
    for (const thread of [0, 1, 2, 3]) jump(thread, february);
    expect(await byPeriod(counter)).toEqual(expected);
  });

  it("see no count twice, and none too few, when a period comes back before the owner has looked", () => {
    const { counter, recorders, jump } = threads();
    const [first, second] = recorders;
    const seen = (recorder: UsageRecorder): number => {
      const out = new Float64Array(3);
      recorder.readTotal("oci", out);
      return out[0] as number;
    };
    first.add("oci", "apiRequests", 5);
    counter.add("oci", "apiRequests", 70); // looks, and tells the others
    jump(1, "2026-02-01T00:00:30Z");
    first.add("oci", "apiRequests", 1);
    expect([seen(first), seen(second)]).toEqual([1, 1]);
    jump(1, "2026-01-31T23:59:30Z");
    expect([seen(second), seen(first)]).toEqual([75, 75]);
    first.add("oci", "apiRequests", 100);
    expect([seen(second), seen(first), seen(counter)]).toEqual([175, 175, 175]);
    // And where the owner takes out what somebody closed, while others are in the period that it was of.
    jump(1, "2026-02-01T00:00:30Z");
    first.add("oci", "apiRequests", 1);
    jump(2, "2026-01-31T23:59:30Z");
    counter.isAnyAt(1);
    expect([seen(second), seen(counter)]).toEqual([175, 175]);
  });
});

describe("a thread's counts beside those of others", () => {
  it("never take a total past 2^53-1, whatever the store says that others used", () => {
    const { counter, recorders } = threads();
    const zero = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
    const all = { ...zero, apiRequests: Number.MAX_SAFE_INTEGER - 4 };
    counter.learn("2026-01", new Map<string, StoredUsage<StorageDimension>>([["oci", { all, own: zero }]]));
    const [first, second] = recorders;
    first.add("oci", "apiRequests", 1);
    second.addAll("oci", { apiRequests: 3, egressBytes: 1 });
    expect(() => first.addAll("oci", { egressBytes: 1, apiRequests: 1 })).toThrow(AmountError);
    expect(() => first.add("oci", "apiRequests", 1)).toThrow(AmountError);
    expect(counter.totalAll("oci")).toEqual({ ...zero, apiRequests: Number.MAX_SAFE_INTEGER, egressBytes: 1 });
    expect(counter.load("oci", "apiRequests")).toBe(4);
  });
});
