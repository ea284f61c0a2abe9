import { LocalCounterBackend, type Usage } from "@usage/counter-core";
import { describe, expect, it } from "vitest";
import { project } from "../../../src/admin/api/live/projection.ts";
import { AmountRate, UsageRates } from "../../../src/admin/api/live/rates.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const START = Date.parse("2026-03-10T00:00:00Z");
const END = Date.parse("2026-04-01T00:00:00Z");
const HOUR_S = 3_600;

/** @param recorded what earlier runs used of the period */
function start(startMs = START, recorded: Usage = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 }) {
  const clock = new FakeClock(startMs);
  const counter = new LocalCounterBackend(["oci"], { clock });
  counter.setBaseline("oci", recorded);
  const rates = new UsageRates({ counter, clock });
  rates.start();
  /** Goes on for so many seconds, with what each of them uses. */
  const run = (seconds: number, perSecond: Partial<Usage>): void => {
    for (let second = 0; second < seconds; second += 1) {
      counter.addAll("oci", perSecond);
      clock.advance(1_000);
    }
    rates.read();
  };
  const projected = (limit: number) => {
    const used = counter.totalAll("oci").apiRequests;
    const perSecond = rates.of("oci").average.apiRequests;
    return { used, ...project({ used, limit, perSecond, nowMs: clock.now(), endMs: END }) };
  };
  return { clock, counter, rates, run, projected };
}

describe("steady traffic", () => {
  it("has its rate, now and on average, in every dimension", () => {
    const { rates, run } = start();
    run(600, { apiRequests: 4, egressBytes: 1_000, ingressBytes: 7 });
    const { now, average } = rates.of("oci");
    for (const rate of [now, average]) {
      expect(rate.apiRequests).toBeCloseTo(4);
      expect(rate.egressBytes).toBeCloseTo(1_000);
      expect(rate.ingressBytes).toBeCloseTo(7);
    }
  });

  it("is projected as a straight line", () => {
    const { run, projected } = start();
    run(2 * HOUR_S, { apiRequests: 3 });
    const { used, atEnd, limitAtMs } = projected(1_000_000);
    expect(used).toBe(2 * HOUR_S * 3);
    expect(atEnd / (3 * 22 * 24 * HOUR_S)).toBeCloseTo(1, 6);
    expect(((limitAtMs ?? 0) - START) / ((1_000_000 / 3) * 1_000)).toBeCloseTo(1, 6);
  });
});

describe("a run that begins within a period", () => {
  // Nine days at ten a second, with an hour of ingress somewhere in them.
  const recorded = { apiRequests: 9 * 24 * HOUR_S * 10, egressBytes: 0, ingressBytes: 3_600_000 };

  it("begins with the rate that is recorded of the period, before it has seen any traffic", () => {
    const { rates, projected } = start(START, recorded);
    const { now, average } = rates.of("oci");
    expect([now.apiRequests, average.egressBytes]).toEqual([0, 0]);
    expect(average.apiRequests).toBeCloseTo(10);
    expect(projected(0).atEnd / (31 * 24 * HOUR_S * 10)).toBeCloseTo(1, 6);
  });

  it("is not misled by its first seconds, and follows its own traffic within hours", () => {
    const { rates, run } = start(START, recorded);
    run(10, { apiRequests: 1_000 });
    expect(rates.of("oci").average.apiRequests).toBeLessThan(15);
    run(4 * HOUR_S, { apiRequests: 40 });
    expect(rates.of("oci").average.apiRequests).toBeGreaterThan(39);
  });

  it("takes the little that a young period has recorded for little", () => {
    const first = Date.parse("2026-03-01T00:01:00Z");
    const { rates, run } = start(first, { ...recorded, apiRequests: 6_000 });
    expect(rates.of("oci").average.apiRequests).toBeCloseTo(100);
    run(9 * 60, { apiRequests: 10 });
    expect(rates.of("oci").average.apiRequests).toBeLessThan(20);
  });

  it("of a backend that was never used before has its own rate alone", () => {
    const { rates, run } = start();
    run(60, { apiRequests: 7 });
    expect(rates.of("oci").average.apiRequests).toBeCloseTo(7);
  });
});

describe("rising traffic", () => {
  it("is projected from nearer to what it is now than to what it was", () => {
    const { counter, clock, rates, run } = start();
    run(3 * HOUR_S, { apiRequests: 1 });
    run(2 * HOUR_S, { apiRequests: 9 });
    const { now, average } = rates.of("oci");
    const plain = counter.totalAll("oci").apiRequests / ((clock.now() - START) / 1_000);
    expect(plain).toBeCloseTo(4.2);
    expect(now.apiRequests).toBeCloseTo(9);
    expect(average.apiRequests).toBeGreaterThan(7);
    expect(average.apiRequests).toBeLessThan(9);
  });
});

describe("traffic that stopped", () => {
  it("has no rate after some seconds, and weighs less by the hour", () => {
    const { rates, run, projected } = start();
    run(4 * HOUR_S, { apiRequests: 10 });
    const limit = 10_000_000;
    const before = projected(limit);
    expect(before.limitAtMs).toBeLessThan(END);
    run(6, {});
    expect(rates.of("oci").now.apiRequests).toBe(0);
    expect(rates.of("oci").average.apiRequests).toBeGreaterThan(9.5);
    run(HOUR_S, {});
    const afterAnHour = rates.of("oci").average.apiRequests;
    expect(afterAnHour).toBeGreaterThan(3);
    expect(afterAnHour).toBeLessThan(4);
    run(23 * HOUR_S, {});
    const afterADay = projected(limit);
    expect(afterADay.limitAtMs).toBeUndefined();
    expect(afterADay.atEnd).toBeLessThan(before.used + 10);
  });
});

describe("readings", () => {
  it("go on by themselves while nobody asks, and end when they are stopped", () => {
    const { clock, counter, rates } = start();
    counter.add("oci", "apiRequests", 600);
    clock.advance(60_000);
    const average = rates.of("oci").average.apiRequests;
    expect(average).toBeCloseTo(10, 0);
    rates.stop();
    clock.advance(600_000);
    expect(rates.of("oci").average.apiRequests).toBe(average);
  });

  it("of a new period begin at zero without a dip or a jump", () => {
    const { clock, rates, run } = start(END - 60_000);
    run(120, { apiRequests: 5 });
    expect(clock.now()).toBeGreaterThan(END);
    expect(rates.of("oci").now.apiRequests).toBeCloseTo(5);
    // What was counted between the last reading and midnight is not seen: one second of sixty at most here, ten in a run.
    expect(rates.of("oci").average.apiRequests).toBeGreaterThan(4.5);
    expect(rates.of("oci").average.apiRequests).toBeLessThanOrEqual(5);
  });

  it("after a restart at zero count what there is as growth", () => {
    const rate = new AmountRate();
    rate.observe(100, 0);
    rate.observe(300, 1_000);
    rate.restart();
    rate.observe(50, 2_000);
    expect(rate.now()).toBeCloseTo(125);
    expect(rate.average()).toBeCloseTo(125, 0);
  });

  it("at one instant, or with a clock that is set back, are no rate", () => {
    const { clock, counter, rates } = start();
    counter.add("oci", "apiRequests", 1_000);
    rates.read();
    expect(rates.of("oci").now.apiRequests).toBe(0);
    clock.advance(1_000);
    rates.read();
    expect(rates.of("oci").now.apiRequests).toBeCloseTo(1_000);
    const before = rates.of("oci").average.apiRequests;
    clock.advance(-500);
    counter.add("oci", "apiRequests", 1_000_000);
    rates.read();
    expect(rates.of("oci").average.apiRequests).toBe(before);
  });
});
