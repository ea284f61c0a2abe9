import { describe, expect, it } from "vitest";
import { project } from "../../../src/admin/api/live/projection.ts";

const HOUR_MS = 3_600_000;

describe("a projection", () => {
  it("continues the rate to the end of the period", () => {
    const { atEnd, limitAtMs } = project({ used: 1_000, limit: 10_000, perSecond: 2, nowMs: 0, endMs: HOUR_MS });
    expect([atEnd, limitAtMs]).toEqual([8_200, undefined]);
  });

  it("names the instant at which the limit is reached", () => {
    const { atEnd, limitAtMs } = project({ used: 1_000, limit: 4_000, perSecond: 2, nowMs: 5_000, endMs: HOUR_MS });
    expect(limitAtMs).toBe(5_000 + 1_500_000);
    expect(atEnd).toBeGreaterThan(4_000);
  });

  it("stays where it is when nothing grows", () => {
    const input = { used: 7, limit: 8, perSecond: 0, nowMs: 0, endMs: HOUR_MS };
    expect(project(input)).toEqual({ atEnd: 7, limitAtMs: undefined });
  });

  it("of a limit that is used up says now, whether anything grows or not", () => {
    for (const perSecond of [0, 3]) {
      expect(project({ used: 8, limit: 8, perSecond, nowMs: 42, endMs: HOUR_MS }).limitAtMs).toBe(42);
    }
  });

  it("without a limit reaches none", () => {
    expect(project({ used: 0, perSecond: 1e6, nowMs: 0, endMs: HOUR_MS }).limitAtMs).toBeUndefined();
    expect(project({ used: 0, limit: undefined, perSecond: 0, nowMs: 0, endMs: HOUR_MS }).limitAtMs).toBeUndefined();
  });

  it("of a limit of 0 says now, also where nothing is used and nothing grows", () => {
    for (const [used, perSecond] of [
      [0, 0],
      [0, 5],
      [5, 0],
    ] as const) {
      const limited = project({ used, limit: 0, perSecond, nowMs: 42, endMs: HOUR_MS });
      expect(limited.limitAtMs).toBe(42);
      expect(Number.isFinite(limited.atEnd)).toBe(true);
    }
  });

  it("adds nothing once the period is over, and never passes the largest amount", () => {
    expect(project({ used: 5, limit: 9, perSecond: 1, nowMs: 10_000, endMs: 0 }).atEnd).toBe(5);
    const input = { used: 5, perSecond: 1e15, nowMs: 0, endMs: 1e10 };
    expect(project(input).atEnd).toBe(Number.MAX_SAFE_INTEGER);
  });
});
