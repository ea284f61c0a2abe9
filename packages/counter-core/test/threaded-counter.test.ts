import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { AmountError, attach, ThreadedCounterBackend, utcDays } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { describe, expect, it } from "vitest";
import { hourOfSharedClock, sharedClock } from "./shared-clock.ts";

const WORKERS = 4;
const CALLS = 1_000_000;
const HOUR_MS = 3_600_000;

/** Four threads that each count a million requests, while `meanwhile` runs again and again. */
async function countFromWorkers(meanwhile: (counter: ThreadedCounterBackend, nextHour: () => void) => void) {
  const time = new SharedArrayBuffer(8);
  const now = new BigInt64Array(time);
  now[0] = BigInt(Date.UTC(2026, 0, 1));
  const nextHour = (): void => void Atomics.add(now, 0, BigInt(HOUR_MS));
  const counter = new ThreadedCounterBackend(["oci", "b2"], {
    periods: hourOfSharedClock,
    clock: sharedClock(time),
  });
  const workers = Array.from({ length: WORKERS }, () => {
    return new Worker(new URL("./threaded-worker.ts", import.meta.url), {
      workerData: { handle: counter.handle, time, calls: CALLS },
      execArgv: ["--conditions=@usage/source"],
    });
  });
  let running = WORKERS;
  const done = Promise.all(
    workers.map(async (worker) => {
      await once(worker, "message");
      running -= 1;
      await worker.terminate();
    }),
  );
  while (running > 0) {
    meanwhile(counter, nextHour);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await done;
  return counter;
}

describe("threads", () => {
  it("count exactly what four worker threads add, a million times each", async () => {
    const counter = await countFromWorkers(() => {});
    expect(counter.totalAll("oci")).toEqual({
      apiRequests: WORKERS * CALLS,
      egressBytes: (WORKERS * CALLS * 3) / 2,
      ingressBytes: 0,
    });
    expect(counter.totalAll("b2").apiRequests).toBe(0);
  });

  it("lose and double nothing while counts are swapped out and the period turns under the workers", async () => {
    const sums = { apiRequests: 0, egressBytes: 0 };
    const periods = new Set<string>();
    let turns = 0;
    const takeAll = (counter: ThreadedCounterBackend): void => {
      for (const { period, usage } of counter.swapAllBackends()) {
        sums.apiRequests += usage.apiRequests ?? 0;
        sums.egressBytes += usage.egressBytes ?? 0;
        periods.add(period);
      }
    };
    const counter = await countFromWorkers((running, nextHour) => {
      turns += 1;
      if (turns % 2 === 0) {
        takeAll(running);
        nextHour();
        return;
      }
      sums.apiRequests += running.swap("oci", "apiRequests");
      const { apiRequests, egressBytes } = running.swapAll("oci");
      sums.apiRequests += apiRequests;
      sums.egressBytes += egressBytes;
    });
    takeAll(counter);
    expect(turns).toBeGreaterThan(10);
    expect(periods.size).toBeGreaterThan(2);
    const { apiRequests, egressBytes } = counter.swapAll("oci");
    expect(sums.apiRequests + apiRequests).toBe(WORKERS * CALLS);
    expect(sums.egressBytes + egressBytes).toBe((WORKERS * CALLS * 3) / 2);
  });

  it("keep the tallies of every period that turned under the workers", async () => {
    let turns = 0;
    const counter = await countFromWorkers((_, nextHour) => {
      turns += 1;
      if (turns % 3 === 0) nextHour();
    });
    const tallies = await counter.tallies();
    expect(new Set(tallies.map(({ period }) => period)).size).toBe(tallies.length);
    expect(tallies.length).toBeGreaterThan(2);
    expect(tallies.reduce((sum, { usage }) => sum + (usage.apiRequests ?? 0), 0)).toBe(WORKERS * CALLS);
  });

  it("lose nothing that they had counted when they are terminated, at whatever instant, while the period turns", async () => {
    const time = new SharedArrayBuffer(8);
    const now = new BigInt64Array(time);
    now[0] = BigInt(Date.UTC(2026, 0, 1));
    const counter = new ThreadedCounterBackend(["oci", "b2"], { periods: hourOfSharedClock, clock: sharedClock(time) });
    const calls = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        const done = new SharedArrayBuffer(4);
        const worker = new Worker(new URL("./threaded-worker.ts", import.meta.url), {
          workerData: { handle: counter.handle, time, calls: Number.POSITIVE_INFINITY, done },
          execArgv: ["--conditions=@usage/source"],
        });
        while (Atomics.load(new Int32Array(done), 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        await new Promise((resolve) => setTimeout(resolve, 7 * i));
        Atomics.add(now, 0, BigInt(HOUR_MS));
        if (i % 3 === 0) await counter.tallies();
        await worker.terminate();
        return Atomics.load(new Int32Array(done), 0);
      }),
    );
    const tallies = await counter.tallies();
    const counted = tallies.reduce((sum, { usage }) => sum + (usage.apiRequests ?? 0), 0);
    const returned = calls.reduce((sum, all) => sum + all, 0);
    // Each may have been terminated between the count and its return.
    expect(counted).toBeGreaterThanOrEqual(returned);
    expect(counted).toBeLessThanOrEqual(returned + calls.length);
    expect(new Set(tallies.map(({ period }) => period)).size).toBeGreaterThan(2);
  });

  it("are turned by a worker when its clock is the first to notice", () => {
    const clock = new ManualClock("2026-01-31T23:59:00Z");
    const counter = new ThreadedCounterBackend(["oci"], { clock: new ManualClock("2026-01-31T23:59:00Z") });
    const recorder = attach(structuredClone(counter.handle), { clock });
    recorder.add("oci", "apiRequests", 1);
    clock.advance(60_000);
    expect(counter.period().key).toBe("2026-02");
    recorder.add("oci", "apiRequests", 10);
    expect(counter.totalAll("oci").apiRequests).toBe(10);
    const out = new Float64Array(3);
    recorder.readTotal("oci", out);
    expect(out[0]).toBe(10);
  });

  it("keep what is confirmed and what others used, when a period is moved out of them and comes back", async () => {
    const clock = new ManualClock("2026-01-10T00:00:00Z");
    const jump = (date: string): void => {
      clock.set(date);
      clock.advance(1_000);
    };
    const counter = new ThreadedCounterBackend(["oci"], { clock });
    counter.add("oci", "apiRequests", 5);
    counter.setBaseline("oci", { apiRequests: 100, egressBytes: 0, ingressBytes: 0 });
    counter.confirm(await counter.tallies());
    jump("2026-02-10T00:00:00Z");
    counter.add("oci", "apiRequests", 1);
    jump("2026-02-20T00:00:00Z"); // past half of the month: January leaves its slot
    expect(await counter.tallies()).toMatchObject([{ period: "2026-02" }]);
    jump("2026-01-20T00:00:00Z");
    expect(counter.totalAll("oci").apiRequests).toBe(105);
    expect(counter.load("oci", "apiRequests")).toBe(0);
    jump("2026-02-21T00:00:00Z");
    expect(counter.totalAll("oci").apiRequests).toBe(1);
  });

  it("have fixed names", async () => {
    const counter = new ThreadedCounterBackend(["oci"]);
    await expect(counter.ensure(["b2"], async () => [])).rejects.toThrow(/cannot be held/);
    expect(counter.backends()).toEqual(["oci"]);
    await counter.ensure(["oci"], async () => []);
  });

  it("see each other's counts, those of others and the owner's at once", () => {
    const counter = new ThreadedCounterBackend(["oci", "b2"]);
    const [first, second] = [attach(counter.handle), attach(counter.handle)];
    counter.add("oci", "apiRequests", 1);
    first.addAll("oci", { apiRequests: 10, egressBytes: 5 });
    second.add("oci", "apiRequests", 100);
    counter.setBaseline("oci", { apiRequests: 1_000, egressBytes: 0, ingressBytes: 0 });
    const out = new Float64Array(3);
    for (const recorder of [first, second, counter]) {
      recorder.readTotal("oci", out);
      expect([...out]).toEqual([1_111, 5, 0]);
    }
    second.add("b2", "ingressBytes", 7);
    expect([counter.load("b2", "ingressBytes"), counter.loadAll("b2").ingressBytes]).toEqual([7, 7]);
    counter.setLimits("oci", { apiRequests: 1_112 });
    expect([counter.fits("oci", { apiRequests: 2 }), counter.tryAddAll("oci", { apiRequests: 1 })]).toEqual([
      false,
      true,
    ]);
    expect(() => first.add("oci", "apiRequests", Number.MAX_SAFE_INTEGER)).toThrow(AmountError);
    expect(() => second.addAll("oci", { egressBytes: Number.MAX_SAFE_INTEGER })).toThrow(AmountError);
  });

  it("are as many as were asked for, and no more", () => {
    const { handle } = new ThreadedCounterBackend(["oci"], { threads: 2 });
    attach(handle);
    attach(handle);
    expect(() => attach(handle)).toThrow(/2 threads have attached/);
    expect(() => new ThreadedCounterBackend(["oci"], { threads: 0 })).toThrow(/threads must be/);
  });

  it("refuse a recorder with another period scheme", () => {
    const counter = new ThreadedCounterBackend(["oci"]);
    expect(() => attach(counter.handle, { periods: utcDays })).toThrow(/own period scheme/);
  });
});
