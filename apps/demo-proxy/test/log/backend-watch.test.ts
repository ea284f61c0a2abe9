import { LocalCounterBackend, memoryStore } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import { errors } from "undici";
import { expect, it, onTestFinished } from "vitest";
import { BackendWatch } from "../../src/log/backend-watch.ts";
import { Router } from "../../src/proxy/admission/route.ts";
import { DEFAULT_TIMEOUTS } from "../../src/proxy/http/timeouts.ts";
import { Upstream } from "../../src/proxy/upstream/upstream.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { recordedLog } from "../support/recorded-log.ts";

function start() {
  const clock = new FakeClock(Date.UTC(2026, 0, 31, 23, 59, 0));
  const limits = { a: { apiRequests: 2, egressBytes: 100 } };
  const tracker = new UsageTracker(new LocalCounterBackend(["a", "b"], { clock }), { store: memoryStore(), limits });
  const upstreams = ["a", "b"].map(
    (name) => new Upstream({ name, url: new URL("http://127.0.0.1:1"), timeouts: DEFAULT_TIMEOUTS, clock }),
  );
  const router = new Router({ tracker, upstreams, policy: "pack" });
  const { log, lines } = recordedLog();
  const watch = new BackendWatch({ router, tracker, clock, log });
  watch.start();
  onTestFinished(async () => {
    watch.stop();
    await Promise.all(upstreams.map((upstream) => upstream.destroy()));
  });
  const [a, b] = upstreams;
  if (a === undefined || b === undefined) throw new Error("there are two");
  return { clock, tracker, a, b, watch, lines, told: () => lines.splice(0) };
}

it("a limit is said to be reached once, and to be left once, when it is raised or the month ends", () => {
  const { clock, tracker, told } = start();
  tracker.record("a", { apiRequests: 1 });
  clock.advance(5_000);
  expect(told()).toEqual([]);
  tracker.record("a", { apiRequests: 1, egressBytes: 100 });
  clock.advance(10_000);
  expect(told()).toMatchObject([
    {
      level: "warn",
      event: "limit-reached",
      backend: "a",
      period: "2026-01",
      exceeded: ["apiRequests", "egressBytes"],
      usage: { apiRequests: 2, egressBytes: 100, ingressBytes: 0 },
      limits: { apiRequests: 2, egressBytes: 100 },
      msg: '"a" has reached its limit of apiRequests, egressBytes in 2026-01',
    },
  ]);
  tracker.updateLimits({ a: { apiRequests: 2 } });
  clock.advance(10_000);
  expect(told()).toEqual([]);
  tracker.updateLimits({ a: { apiRequests: 3 } });
  clock.advance(10_000);
  expect(told()).toMatchObject([{ level: "info", event: "limit-left", backend: "a", limits: { apiRequests: 3 } }]);
  tracker.updateLimits({ a: { apiRequests: 2 } });
  clock.advance(1_000);
  expect(told()).toMatchObject([{ event: "limit-reached" }]);
  clock.advance(60_000);
  expect(told()).toMatchObject([{ event: "limit-left", period: "2026-02", usage: { apiRequests: 0 } }]);
});

it("a limit of 0 is told as what it is", () => {
  const { clock, tracker, told } = start();
  tracker.updateLimits({ a: { apiRequests: 0 } });
  clock.advance(1_000);
  expect(told()).toMatchObject([
    { event: "limit-reached", limits: { apiRequests: 0 }, msg: '"a" takes no requests: its limit of apiRequests is 0' },
  ]);
});

it("a limit of what goes in is told, too, though requests without a body still pass", () => {
  const { clock, tracker, told } = start();
  tracker.updateLimits({ a: { ingressBytes: 10 }, b: { ingressBytes: 0 } });
  tracker.record("a", { ingressBytes: 10 });
  clock.advance(1_000);
  expect(told()).toMatchObject([
    { event: "limit-reached", backend: "a", exceeded: ["ingressBytes"] },
    { event: "limit-reached", backend: "b", msg: '"b" takes no bodies: its limit of ingressBytes is 0' },
  ]);
});

it("that reservations refuse is not said of a limit that is used up", () => {
  const { clock, tracker, a, told } = start();
  a.traffic.reservationRejections[0] = 5;
  tracker.record("a", { apiRequests: 2 });
  clock.advance(5_000);
  expect(told()).toMatchObject([{ event: "limit-reached", backend: "a" }]);
});

it("a backend that is drained or cannot be reached is said to be so once, and to be back once", () => {
  const { clock, a, b, told } = start();
  b.inFlight = 4;
  b.draining = true;
  const unknown = Object.assign(new Error("getaddrinfo ENOTFOUND a"), { code: "ENOTFOUND" });
  a.health.failed(unknown, false, a.health.begin());
  clock.advance(3_000);
  const reason = "the host name of its url does not exist; check the spelling";
  expect(told()).toMatchObject([
    {
      level: "warn",
      event: "backend-unreachable",
      backend: "a",
      code: "ENOTFOUND",
      reason,
      since: "2026-01-31T23:59:00.000Z",
      msg: `"a" is passed over: ${reason} (ENOTFOUND)`,
    },
    { level: "info", event: "drain", backend: "b", inFlight: 4 },
  ]);
  b.inFlight = 0;
  b.draining = false;
  clock.advance(10_000);
  expect(told().map(({ event, backend }) => [event, backend])).toEqual([
    ["resume", "b"],
    ["backend-retried", "a"],
  ]);
  a.health.answered(a.health.begin());
  clock.advance(1_000);
  expect(told()).toMatchObject([{ level: "info", event: "backend-recovered", backend: "a" }]);
});

it("that what is only reserved refuses requests is said once, and once that it does not any more", () => {
  const { clock, tracker, a, told } = start();
  tracker.tryReserve("a", { ingressBytes: 500 });
  a.inFlight = 1;
  for (let second = 0; second < 3; second++) {
    a.traffic.reservationRejections[2] = second + 1;
    clock.advance(1_000);
  }
  expect(told()).toMatchObject([
    { level: "warn", event: "reservations-refuse", backend: "a", reserved: { ingressBytes: 500 }, inFlight: 1 },
  ]);
  clock.advance(5_000);
  expect(told()).toMatchObject([{ level: "info", event: "reservations-let-pass", backend: "a" }]);
});

it("answers that a backend breaks off are told with why and how many: at once, then once a minute, and for another reason", () => {
  const { clock, a, told } = start();
  const reset = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
  a.traffic.broke(reset);
  clock.advance(10_000);
  expect(told()).toMatchObject([
    { level: "warn", event: "backend-broke-off", backend: "a", answers: 1, code: "ECONNRESET" },
  ]);
  for (let second = 0; second < 49; second += 1) {
    a.traffic.broke(reset);
    clock.advance(1_000);
  }
  expect(told()).toEqual([]);
  clock.advance(10_000);
  expect(told()).toMatchObject([
    { answers: 49, msg: expect.stringMatching(/^"a" broke off 49 answers: it closes .* \(ECONNRESET\)$/) },
  ]);
  a.traffic.broke(new errors.HeadersTimeoutError());
  clock.advance(1_000);
  expect(told()).toMatchObject([{ answers: 1, code: "UND_ERR_HEADERS_TIMEOUT" }]);
  clock.advance(600_000);
  expect(told()).toEqual([]);
});

it("nothing is said once it is stopped", () => {
  const { clock, a, watch, lines } = start();
  watch.stop();
  a.draining = true;
  clock.advance(60_000);
  expect(lines).toEqual([]);
});
