import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { attach, ThreadedCounterBackend, type Usage } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { describe, expect, it } from "vitest";

const LIMIT = 10_000;
const ONE = { apiRequests: 1 };

/** A counter and two threads' recorders on it, in this thread, at a time that stands still. */
function threaded(limit = LIMIT, time = "2026-01-15T00:00:00Z") {
  const clock = new ManualClock(time);
  const counter = new ThreadedCounterBackend(["oci", "b2"], { clock });
  counter.setLimits("oci", { apiRequests: limit });
  const [first, second] = [attach(counter.handle, { clock }), attach(counter.handle, { clock })];
  const used = (): number => counter.totalAll("oci").apiRequests;
  const to = (date: string): void => {
    clock.set(date);
    clock.advance(1_000);
  };
  return { clock, counter, first, second, used, to };
}

/** Worker threads that use the limit of each backend as fast as they can until they are refused. */
async function hammering(threads: number, limit: number, backends: readonly string[] = ["oci"]) {
  const counter = new ThreadedCounterBackend(backends);
  for (const backend of backends) counter.setLimits(backend, { apiRequests: limit });
  const progress = new SharedArrayBuffer(12);
  const told = new Int32Array(progress);
  const workers = Array.from({ length: threads }, () => {
    return new Worker(new URL("./limits-worker.ts", import.meta.url), {
      workerData: { handle: counter.handle, progress },
      execArgv: ["--conditions=@usage/source"],
    });
  });
  while (Atomics.load(told, 1) < threads) await new Promise((resolve) => setTimeout(resolve, 1));
  const go = (): void => {
    Atomics.store(told, 0, 1);
    Atomics.notify(told, 0);
  };
  return { counter, workers, go, used: () => Atomics.load(told, 2) };
}

describe("limits among threads", () => {
  it.each([LIMIT, 300_000])(
    "of %i are used up to the last unit by four that count and hold, and not passed",
    async (limit) => {
      const { counter, workers, go, used } = await hammering(4, limit);
      const done = workers.map((worker) => once(worker, "message"));
      go();
      let running = true;
      void Promise.all(done).then(() => {
        running = false;
      });
      let own = 0;
      while (running) {
        if (counter.tryAddAll("oci", ONE)) own += 1;
        expect(counter.totalAll("oci").apiRequests).toBeLessThanOrEqual(limit);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await Promise.all(done);
      expect(own).toBeGreaterThan(0);
      expect(used() + own).toBe(limit);
      expect(counter.totalAll("oci").apiRequests).toBe(limit);
      expect(counter.heldAll("oci").apiRequests).toBe(0);
      expect(counter.tryAddAll("oci", ONE)).toBe(false);
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  );

  it("of many backends, each so small that nobody has a share, are used up by four and not passed", async () => {
    const backends = Array.from({ length: 2_000 }, (_, i) => `tenant ${i}`);
    const { counter, workers, go, used } = await hammering(4, 15, backends);
    const done = workers.map((worker) => once(worker, "message"));
    go();
    await Promise.all(done);
    expect(new Set(backends.map((backend) => counter.totalAll(backend).apiRequests))).toEqual(new Set([15]));
    expect(used()).toBe(15 * backends.length);
    await Promise.all(workers.map((worker) => worker.terminate()));
  });

  it("are not passed when threads are terminated, who leave to the others what they had not used", async () => {
    const limit = 1_000_000;
    const { counter, workers, go } = await hammering(6, limit);
    const [last, ...victims] = workers;
    const done = once(last as Worker, "message");
    go();
    for (const victim of victims) {
      await new Promise((resolve) => setTimeout(resolve, 7));
      await victim.terminate();
    }
    await done;
    const [used, held] = [counter.totalAll("oci").apiRequests, counter.heldAll("oci").apiRequests];
    expect(used + held).toBeLessThanOrEqual(limit);
    expect(counter.tryAddAll("oci", ONE)).toBe(false);
    // Each may have held three, and was perhaps just moving a sixteenth of what was left.
    expect(held).toBeLessThanOrEqual(3 * victims.length);
    expect(used).toBeGreaterThan(limit / 2);
    await last?.terminate();
  });

  it("strand nothing with one that is idle: others take what it has not used", () => {
    const { counter, first, second, used } = threaded();
    expect(first.tryAddAll("oci", ONE)).toBe(true);
    for (let i = 0; i < 9_998; i++) expect(second.tryAddAll("oci", ONE)).toBe(true);
    expect([counter.fits("oci", ONE), first.fits("oci", ONE)]).toEqual([true, true]);
    expect([counter.fits("oci", { apiRequests: 2 }), first.fits("oci", { apiRequests: 2 })]).toEqual([false, false]);
    for (const one of [first, second, counter]) expect(one.hold("oci", { apiRequests: 2 })).toBeUndefined();
    expect(counter.tryAddAll("oci", ONE)).toBe(true);
    for (const one of [first, second, counter]) {
      expect(one.tryAddAll("oci", ONE)).toBe(false);
      expect(one.hold("oci", ONE)).toBeUndefined();
      expect(one.tryAddAll("oci", { egressBytes: 1 })).toBe(true);
    }
    expect(used()).toBe(LIMIT);
  });

  it("admit amounts of any size, all or nothing", () => {
    const { counter, first, second } = threaded();
    const most = Number.MAX_SAFE_INTEGER - 1;
    counter.setLimits("oci", { apiRequests: 10, egressBytes: most });
    expect(first.tryAddAll("oci", { egressBytes: most - 40_000_000 })).toBe(true);
    expect(first.tryAddAll("oci", { apiRequests: 11, egressBytes: 1 })).toBe(false);
    expect(first.tryAddAll("oci", { apiRequests: 1, egressBytes: 40_000_001 })).toBe(false);
    expect(second.hold("oci", { apiRequests: 10, egressBytes: 40_000_001 })).toBeUndefined();
    expect(second.tryAddAll("oci", { apiRequests: 10, egressBytes: 40_000_000 })).toBe(true);
    expect(first.tryAddAll("oci", { ingressBytes: Number.MAX_SAFE_INTEGER })).toBe(true);
    expect(second.tryAddAll("oci", { ingressBytes: 1 })).toBe(false);
    expect(counter.totalAll("oci")).toEqual({
      apiRequests: 10,
      egressBytes: most,
      ingressBytes: Number.MAX_SAFE_INTEGER,
    });
  });

  it.each([
    ["a lowered limit", ({ counter }: ReturnType<typeof threaded>) => counter.setLimits("oci", { apiRequests: 500 })],
    [
      "what others turn out to have used",
      ({ counter }: ReturnType<typeof threaded>) => {
        counter.setBaseline("oci", { apiRequests: 9_500, egressBytes: 0, ingressBytes: 0 });
      },
    ],
    [
      "what a thread records without asking",
      ({ second }: ReturnType<typeof threaded>) => second.addAll("oci", { apiRequests: 9_500 }),
    ],
    [
      "what the counter itself records without asking",
      ({ counter }: ReturnType<typeof threaded>) => counter.add("oci", "apiRequests", 9_500),
    ],
  ])("regard at once %s, though shares were taken before", (_, happen) => {
    const all = threaded();
    const { first, second, counter } = all;
    for (const one of [first, second, counter]) expect(one.tryAddAll("oci", { apiRequests: 100 })).toBe(true);
    happen(all);
    expect(first.tryAddAll("oci", { apiRequests: 201 })).toBe(false);
    expect(first.tryAddAll("oci", { apiRequests: 150 })).toBe(true);
    expect(counter.tryAddAll("oci", { apiRequests: 51 })).toBe(false);
    expect(second.tryAddAll("oci", { apiRequests: 50 })).toBe(true);
    for (const one of [first, second, counter]) expect(one.tryAddAll("oci", ONE)).toBe(false);
  });

  it("are closed for all where more is used, also for what needs nothing of it, until they are raised", () => {
    const { counter, first, second } = threaded(10);
    first.add("oci", "apiRequests", 11);
    for (const one of [first, second, counter]) {
      expect(one.fits("oci", {})).toBe(false);
      expect(one.tryAddAll("oci", { egressBytes: 1 })).toBe(false);
    }
    counter.setLimits("oci", { apiRequests: 12 });
    expect(first.tryAddAll("oci", ONE)).toBe(true);
    expect(second.tryAddAll("oci", ONE)).toBe(false);
    counter.setLimits("oci", {});
    expect(second.tryAddAll("oci", { apiRequests: 100 })).toBe(true);
    counter.setLimits("oci", { apiRequests: 0 });
    expect(counter.setLimits("b2", { apiRequests: 0 })).toBeUndefined();
    expect([first.tryAddAll("oci", ONE), first.tryAddAll("b2", ONE), second.fits("b2", {})]).toEqual([
      false,
      false,
      true,
    ]);
  });

  it("have holds of threads in them, which the counter tells, and what was settled above them", () => {
    const { counter, clock, first, second, used } = threaded(10);
    const hold = first.hold("oci", { apiRequests: 8, egressBytes: 3 });
    expect(counter.heldAll("oci")).toEqual({ apiRequests: 8, egressBytes: 3, ingressBytes: 0 });
    expect(counter.hold("oci", { apiRequests: 3 })).toBeUndefined();
    expect(hold?.extend({ apiRequests: 3 })).toBe(false);
    expect(hold?.extend({ apiRequests: 1 })).toBe(true);
    expect(second.tryAddAll("oci", { apiRequests: 2 })).toBe(false);
    expect(second.tryAddAll("oci", ONE)).toBe(true);
    hold?.shrink(ONE);
    expect(second.tryAddAll("oci", ONE)).toBe(true);
    hold?.count({ apiRequests: 3 });
    hold?.settle({ apiRequests: 2 });
    hold?.settle({ apiRequests: 2 });
    expect(used()).toBe(7);
    expect(counter.hold("oci", { apiRequests: 3 })?.settle({ apiRequests: 4 })).toBeUndefined();
    expect(counter.excessAll("oci").apiRequests).toBe(1);
    expect(first.tryAddAll("oci", {})).toBe(false);
    counter.setLimits("oci", { apiRequests: 20 });
    second.hold("oci", ONE)?.settle({ apiRequests: 3 });
    expect(counter.excessAll("oci").apiRequests).toBe(3);
    const expired: string[] = [];
    first.onHoldExpired(({ backend }) => void expired.push(backend));
    expect(() => first.hold("oci", ONE, { ttlMs: 0 })).toThrow(RangeError);
    const late = first.hold("oci", { apiRequests: 6 }, { ttlMs: 60_000 });
    clock.advance(62_000);
    expect([late?.state, expired, counter.fits("oci", { apiRequests: 6 })]).toEqual(["expired", ["oci"], true]);
    late?.settle({ apiRequests: 2 });
    expect([used(), counter.excessAll("oci").apiRequests]).toEqual([16, 5]);
  });

  it("open again with the month, and holds of a thread are counted where they began", async () => {
    const { counter, first, second, used, to } = threaded(10, "2026-01-31T23:00:00Z");
    const hold = first.hold("oci", { apiRequests: 8 }, { ttlMs: 2 ** 31 - 1 });
    const other = second.hold("oci", { apiRequests: 1 }, { ttlMs: 2 ** 31 - 1 });
    const own = counter.hold("oci", ONE);
    to("2026-02-01T00:00:00Z");
    expect(counter.heldAll("oci").apiRequests).toBe(0);
    expect(first.tryAddAll("oci", { apiRequests: 10 })).toBe(true);
    for (const one of [first, second, counter]) expect(one.tryAddAll("oci", ONE)).toBe(false);
    expect([hold?.extend(ONE), own?.extend(ONE)]).toEqual([false, false]);
    own?.void();
    hold?.count({ apiRequests: 1 });
    expect(used()).toBe(10);
    await counter.tallies();
    hold?.settle({ apiRequests: 9 });
    to("2026-03-01T00:00:00Z");
    other?.settle();
    const tallies = await counter.tallies();
    const byPeriod = tallies.map(({ period, usage }) => [period, usage.apiRequests]);
    expect(byPeriod).toEqual([
      ["2026-01", 11],
      ["2026-02", 10],
    ]);
    expect([used(), counter.excessAll("oci").apiRequests]).toEqual([0, 0]);
  });

  it("are whole in a new month, whatever shares threads have taken of the one before", () => {
    const { counter, first, second, used, to } = threaded(LIMIT, "2026-01-31T23:00:00Z");
    for (const one of [first, second, counter]) expect(one.tryAddAll("oci", ONE)).toBe(true);
    to("2026-02-01T00:00:00Z");
    for (const one of [first, second, counter]) while (one.tryAddAll("oci", ONE));
    expect(used()).toBe(LIMIT);
  });

  it("have what was granted in them, for the threads, too, until the month ends", () => {
    const { counter, first, second, used, to } = threaded(10, "2026-01-31T23:00:00Z");
    while (first.tryAddAll("oci", ONE));
    counter.setCredit("2026-01", "oci", { apiRequests: 5 });
    for (const one of [first, second, counter]) expect(one.tryAddAll("oci", ONE)).toBe(true);
    for (const one of [second, first]) while (one.tryAddAll("oci", ONE));
    expect(used()).toBe(15);
    counter.setLimits("oci", { apiRequests: 12 });
    expect(first.hold("oci", { apiRequests: 3 })).toBeUndefined();
    expect(first.hold("oci", { apiRequests: 2 })).toBeDefined();
    counter.setCredit("2026-01", "oci", { apiRequests: 500 });
    expect(first.tryAddAll("oci", { apiRequests: 20 })).toBe(true);
    to("2026-02-01T00:00:00Z");
    for (const one of [first, second, counter]) expect(one.tryAddAll("oci", { apiRequests: 13 })).toBe(false);
    for (const one of [first, second, counter]) while (one.tryAddAll("oci", ONE));
    expect(used()).toBe(12);
  });

  it("are what they were where the clock was set back into their month", () => {
    const { counter, first, second, used, to } = threaded(10, "2026-01-31T23:00:00Z");
    const hold = first.hold("oci", { apiRequests: 4 });
    second.tryAddAll("oci", { apiRequests: 3 });
    to("2026-02-01T00:00:00Z");
    expect(first.tryAddAll("oci", { apiRequests: 10 })).toBe(true);
    to("2026-01-31T23:30:00Z");
    expect([used(), counter.heldAll("oci").apiRequests]).toEqual([3, 0]);
    first.fits("oci", {});
    expect(counter.heldAll("oci").apiRequests).toBe(4);
    hold?.void();
    expect(second.tryAddAll("oci", { apiRequests: 7 })).toBe(true);
    expect(first.tryAddAll("oci", ONE)).toBe(false);
  });

  it("have room again for what was discarded", () => {
    const { counter, first, second } = threaded(10);
    const all: Partial<Usage> = { apiRequests: 10 };
    expect(first.tryAddAll("oci", all)).toBe(true);
    counter.discard("oci");
    expect(second.tryAddAll("oci", all)).toBe(true);
    expect(first.tryAddAll("oci", ONE)).toBe(false);
  });
});
