import { LocalCounterBackend, memoryStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { UsageTracker } from "@usage/tracker";
import { toHeaders, toProblem } from "@usage/tracker/http";
import { describe, expect, it } from "vitest";

const NOW = Date.parse("2026-01-31T23:00:00.500Z");

function decide(used: number, limits: Partial<Record<"apiRequests" | "egressBytes", number>>) {
  const counter = new LocalCounterBackend(["oci"], { clock: new ManualClock(NOW) });
  const tracker = new UsageTracker(counter, { store: memoryStore(), limits: { oci: limits } });
  tracker.record("oci", { apiRequests: used });
  return tracker.check("oci", { apiRequests: 1 });
}

describe("quota headers", () => {
  it("state policy and what is left, per limited dimension", () => {
    expect(toHeaders(decide(4, { apiRequests: 10, egressBytes: 2048 }), { now: NOW })).toEqual({
      RateLimit: '"apiRequests";r=6;t=3600, "egressBytes";r=2048;t=3600',
      "RateLimit-Policy":
        '"apiRequests";q=10;qu="requests";w=2678400, "egressBytes";q=2048;qu="content-bytes";w=2678400',
    });
  });

  it("tell when to come back after a refusal of at most a minute, in whole seconds and not too early", () => {
    const refusedAt = (now: number) => toHeaders(decide(10, { apiRequests: 10 }), { now });
    const end = Date.UTC(2026, 1);
    for (const [leftMs, seconds] of [
      [60_000, "60"],
      [59_001, "60"],
      [1, "1"],
      [-5, "1"],
    ] as const) {
      expect(refusedAt(end - leftMs)).toMatchObject({ "Retry-After": seconds });
      expect(refusedAt(end - leftMs)).not.toHaveProperty("x-should-retry");
    }
  });

  it("keep clients from sleeping through a longer refusal: the seconds are in RateLimit only", () => {
    for (const left of [3_600_000, 60_001]) {
      const headers = toHeaders(decide(10, { apiRequests: 10 }), { now: Date.UTC(2026, 1) - left });
      expect(headers).toEqual({
        RateLimit: `"apiRequests";r=0;t=${Math.ceil(left / 1000)}`,
        "RateLimit-Policy": '"apiRequests";q=10;qu="requests";w=2678400',
        "x-should-retry": "false",
      });
    }
  });

  it("state a limit of 0, and do not tell when to come back where that never helps", () => {
    const headers = toHeaders(decide(0, { apiRequests: 0, egressBytes: 5 }), { now: NOW });
    expect(headers).toEqual({
      RateLimit: '"apiRequests";r=0;t=3600, "egressBytes";r=5;t=3600',
      "RateLimit-Policy": '"apiRequests";q=0;qu="requests";w=2678400, "egressBytes";q=5;qu="content-bytes";w=2678400',
      "x-should-retry": "false",
    });
    const lastMinute = { now: NOW + 3_570_000 };
    expect(toHeaders(decide(0, { apiRequests: 0 }), lastMinute)).toMatchObject({ "x-should-retry": "false" });
    // Another limit is 0: that one is not why.
    expect(toHeaders(decide(1, { apiRequests: 1, egressBytes: 0 }), lastMinute)).toMatchObject({ "Retry-After": "30" });
  });

  it("stay within the 15 digits of a structured field", () => {
    const headers = toHeaders(decide(0, { apiRequests: Number.MAX_SAFE_INTEGER - 1 }), { now: NOW });
    expect(headers["RateLimit-Policy"]).toContain("q=999999999999999;");
    expect(headers.RateLimit).toContain("r=999999999999999;");
  });

  it("are absent where nothing is limited", () => {
    expect(toHeaders(decide(5, {}), { now: NOW })).toEqual({});
  });
});

describe("a quota problem", () => {
  it("says that nothing may be used where the limit is 0", () => {
    expect(toProblem(decide(0, { apiRequests: 0 }))).toMatchObject({
      status: 429,
      detail: "The limit of apiRequests is 0: none of it may be used.",
      mode: "exact",
      "violated-policies": ["apiRequests"],
    });
  });

  it.each([
    ["held", "What is left is held for work that is going on"],
    ["unready", "What other instances have is not known yet"],
    ["offline", "Other instances cannot be asked for what they have left"],
  ] as const)("promises nothing for next month where others are in the way: %s", (reason, why) => {
    const decision = { ...decide(4, { apiRequests: 10 }), allowed: false, reason, mode: "approximate" as const };
    const problem = toProblem(decision);
    const detail = `${why}: try again in a second.`;
    expect(problem).toMatchObject({ type: "about:blank", status: 429, detail, mode: "approximate" });
    expect(problem).not.toHaveProperty("resets-at");
    expect(problem.error.code).toBe("rate_limit_exceeded");
    expect(toHeaders(decision, { now: NOW })).toMatchObject({ "Retry-After": "1" });
    expect(toHeaders(decision, { now: NOW })).not.toHaveProperty("x-should-retry");
  });

  it("says what is used up and until when, without naming the backend", () => {
    const problem = toProblem(decide(10, { apiRequests: 10, egressBytes: 5 }));
    expect(problem).toEqual({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      title: "Request cannot be satisfied as assigned quota has been exceeded",
      status: 429,
      detail:
        "The limit of apiRequests in the period 2026-01 leaves no room for this request. The next period begins at 2026-02-01T00:00:00.000Z.",
      "violated-policies": ["apiRequests"],
      mode: "exact",
      "resets-at": "2026-02-01T00:00:00.000Z",
      error: { message: problem.detail, type: "insufficient_quota", code: "insufficient_quota" },
    });
  });
});
