import { expect, it } from "vitest";
import { type LiveLook, lookLive } from "../../../src/admin/api/live/live-look.ts";
import type { LiveBackend, LiveReport } from "../../../src/admin/api/live/live-report.ts";
import { UsageRates } from "../../../src/admin/api/live/rates.ts";
import { Refusals } from "../../../src/admin/api/usage/refusals.ts";
import { Turns } from "../../../src/admin/turns.ts";
import { Settings } from "../../../src/process/settings.ts";
import { OwnAnswers } from "../../../src/proxy/answers/own-answers.ts";
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
  const inForce = () => live.config;
  const look = (number: number, last?: LiveLook): Promise<LiveLook> => {
    return lookLive({ ...parts, inForce, live: () => live.status() }, number, last);
  };
  const reportOn = async (name: string): Promise<LiveBackend> => {
    const found = (await told(await look(1), 0)).backends.find((backend) => backend.name === name);
    if (found === undefined) throw new Error(`no ${name} in the report`);
    return found;
  };
  const drain = (name: string): void => {
    for (const upstream of router.upstreams) if (upstream.name === name) upstream.draining = true;
  };
  return { app, config, clock, counter, drain, look, reportOn };
}

/** What a look tells whoever knows of an earlier one. */
async function told(look: LiveLook, earlier: number): Promise<LiveReport> {
  return JSON.parse(Buffer.concat(await look.since(earlier)).toString());
}

it("a backend that takes requests is projected at its average, one that takes none at what it still does", async () => {
  const { clock, counter, drain, reportOn } = await start(["open", "drained", "full"]);
  clock.advance(60_000);
  drain("drained");
  counter.add("full", "apiRequests", LIMIT - counter.totalAll("full").apiRequests);
  for (const name of ["open", "drained", "full"]) await reportOn(name);
  clock.advance(60_000);
  for (const name of ["open", "drained", "full"]) await reportOn(name);
  clock.advance(60_000);
  const [open, drained, full] = [await reportOn("open"), await reportOn("drained"), await reportOn("full")];
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
  const outlookOf = async (name: string) => (await reportOn(name)).outlook.apiRequests;
  const unsaid = { atEnd: null, limitAt: null };
  counter.add("new", "apiRequests", 9);
  counter.add("busy", "apiRequests", 1_000);
  clock.advance(50_000);
  expect([await outlookOf("new"), await outlookOf("busy")]).toEqual([unsaid, unsaid]);
  clock.advance(20_000);
  expect(await outlookOf("new")).toEqual(unsaid);
  expect((await outlookOf("busy")).atEnd).toBeGreaterThan(1_000);
  counter.add("new", "apiRequests", 1);
  clock.advance(10_000);
  expect((await outlookOf("new")).atEnd).toBeGreaterThan(10);
});

it("a backend that was removed from the file is told apart from one that an operator drains", async () => {
  const { app, config, drain, reportOn } = await start(["oci", "b2"]);
  await app.live.take(async () => ({ ...config, backends: config.backends.slice(0, 1) }));
  drain("oci");
  expect(await reportOn("oci")).toMatchObject({ draining: true, configured: true });
  expect(await reportOn("b2")).toMatchObject({ draining: true, configured: false });
});

it("later events tell of the backends that changed since, and of all where they are others", async () => {
  const { app, config, clock, counter, look } = await start(["oci", "b2", "idle"], 0);
  const namesOf = ({ whole, backends }: LiveReport) => [whole, ...backends.map(({ name }) => name)];
  const first = await look(1);
  expect(namesOf(await told(first, 0))).toEqual([true, "oci", "b2", "idle"]);
  counter.add("oci", "apiRequests", 100);
  const second = await look(2, first);
  expect(namesOf(await told(second, 1))).toEqual([false, "oci"]);
  counter.add("b2", "egressBytes", 5);
  const third = await look(3, second);
  expect(namesOf(await told(third, 2))).toEqual([false, "b2"]);
  // Whoever missed the one between them.
  expect(namesOf(await told(third, 1))).toEqual([false, "oci", "b2"]);
  // Whoever comes then is told the same of each backend.
  expect((await told(third, 0)).backends).toEqual((await told(await look(1), 0)).backends);
  await app.live.take(async () => ({ ...config, backends: config.backends.toReversed() }));
  const turned = await look(4, third);
  expect(namesOf(await told(turned, 3))).toEqual([true, "idle", "b2", "oci"]);

  // What time alone changes is told with every tenth, once the rates of the last seconds have come to rest.
  let last = turned;
  const names: unknown[] = [];
  for (let number = 5; number < 40; number += 1) {
    clock.advance(1_000);
    last = await look(number, last);
    if (number >= 20) names.push(...(await told(last, number - 1)).backends.map(({ name }) => name));
  }
  expect(names.filter((name) => name === "oci")).toHaveLength(2);
  expect(names).not.toContain("idle");
});
