import { expect, it } from "vitest";
import { type LiveBackend, type LiveReport, livePieces } from "../../../src/admin/api/live-report.ts";
import { UsageRates } from "../../../src/admin/api/rates.ts";
import { Refusals } from "../../../src/admin/api/refusals.ts";
import { Turns } from "../../../src/admin/turns.ts";
import { Settings } from "../../../src/process/settings.ts";
import { OwnAnswers } from "../../../src/proxy/own-answers.ts";
import { startApp, startUpstream, testConfig } from "../../support/app.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const LIMIT = 1_000_000;

/** A proxy whose backends were used at ten requests a second for ten minutes, and the report on any of them. */
async function start(names: readonly string[], readings = 60) {
  const upstream = await startUpstream();
  const config = testConfig(names.map((name) => ({ name, url: upstream.url, limits: { apiRequests: LIMIT } })));
  const { app } = await startApp(config);
  const { counter } = app.tracker;
  const clock = new FakeClock(counter.period().start + 86_400_000);
  const rates = new UsageRates({ counter, clock });
  rates.start();
  for (let n = 0; n < readings; n += 1) {
    for (const name of names) counter.add(name, "apiRequests", 100);
    clock.advance(10_000);
  }
  const { tracker, store, flusher, router, live } = app;
  const { readiness } = app;
  const turns = new Turns();
  const refusals = new Refusals({ answers: new OwnAnswers("timeout=65"), router, counter, clock });
  const settings = new Settings({ store, clock });
  const inApp = { config, tracker, store, flusher, router, readiness };
  const parts = { ...inApp, clock, rates, refusals, startedMs: 0, turns, settings };
  const reportOn = (name: string): LiveBackend => {
    const pieces = livePieces({ ...parts, inForce: () => live.config, live: () => live.status() });
    const report = JSON.parse([...pieces].join("")) as LiveReport;
    const found = report.backends.find((backend) => backend.name === name);
    if (found === undefined) throw new Error(`no ${name} in the report`);
    return found;
  };
  const drain = (name: string): void => {
    for (const upstream of router.upstreams) if (upstream.name === name) upstream.draining = true;
  };
  return { app, config, clock, counter, drain, reportOn };
}

it("a backend that takes requests is projected at its average, one that takes none at what it still does", async () => {
  const { clock, counter, drain, reportOn } = await start(["open", "drained", "full"]);
  clock.advance(60_000);
  drain("drained");
  counter.add("full", "apiRequests", LIMIT - counter.totalAll("full").apiRequests);
  for (const name of ["open", "drained", "full"]) reportOn(name);
  clock.advance(60_000);
  for (const name of ["open", "drained", "full"]) reportOn(name);
  clock.advance(60_000);
  const [open, drained, full] = ["open", "drained", "full"].map(reportOn) as [LiveBackend, LiveBackend, LiveBackend];
  expect(open.outlook.apiRequests.atEnd).toBeGreaterThan(LIMIT);
  expect(Date.parse(open.outlook.apiRequests.limitAt ?? "")).toBeGreaterThan(clock.now());
  expect(drained.averagePerSecond.apiRequests).toBe(open.averagePerSecond.apiRequests);
  expect(drained.outlook.apiRequests).toEqual({ atEnd: drained.usage.apiRequests, limitAt: null });
  expect(full.averagePerSecond.apiRequests).toBeGreaterThan(open.averagePerSecond.apiRequests);
  // It promises no instant, in no dimension.
  const { usage } = full;
  expect(Object.values(full.outlook)).toEqual(
    [LIMIT, usage.egressBytes, usage.ingressBytes].map((atEnd) => ({ atEnd, limitAt: null })),
  );
});

it("nothing is projected from nine requests, nor from what was seen for less than a minute", async () => {
  const { clock, counter, reportOn } = await start(["new", "busy"], 0);
  const outlookOf = (name: string) => reportOn(name).outlook.apiRequests;
  const unsaid = { atEnd: null, limitAt: null };
  counter.add("new", "apiRequests", 9);
  counter.add("busy", "apiRequests", 1_000);
  clock.advance(50_000);
  expect([outlookOf("new"), outlookOf("busy")]).toEqual([unsaid, unsaid]);
  clock.advance(20_000);
  expect(outlookOf("new")).toEqual(unsaid);
  expect(outlookOf("busy").atEnd).toBeGreaterThan(1_000);
  counter.add("new", "apiRequests", 1);
  clock.advance(10_000);
  expect(outlookOf("new").atEnd).toBeGreaterThan(10);
});

it("a backend that was removed from the file is told apart from one that an operator drains", async () => {
  const { app, config, drain, reportOn } = await start(["oci", "b2"]);
  await app.live.take(async () => ({ ...config, backends: config.backends.slice(0, 1) }));
  drain("oci");
  expect(reportOn("oci")).toMatchObject({ draining: true, configured: true });
  expect(reportOn("b2")).toMatchObject({ draining: true, configured: false });
});
