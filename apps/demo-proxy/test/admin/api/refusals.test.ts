import { expect, it } from "vitest";
import type { UsageReport } from "../../../src/admin/api/usage/usage-report.ts";
import { refusingPort } from "../../proxy/node-upstream.ts";
import { startApp, startUpstream, testConfig } from "../../support/app.ts";
import { call } from "../../support/call.ts";

it("GET /api/usage says how many requests no backend served and why, and what each backend did not take", async () => {
  const upstream = await startUpstream();
  const limits = { apiRequests: 1 };
  const { app, proxy, admin } = await startApp(
    testConfig([
      { name: "first", url: upstream.url, limits },
      { name: "second", url: upstream.url, limits },
    ]),
  );
  const report = async () => (await call(admin, "/api/usage")).json as UsageReport;
  const statuses: number[] = [];
  for (let n = 0; n < 5; n += 1) statuses.push((await call(proxy, "/objects/1")).status);
  // What a client itself does wrong is no refusal.
  statuses.push((await call(proxy, "/..")).status);
  expect(statuses).toEqual([200, 200, 429, 429, 429, 400]);
  const { refusals, backends } = await report();
  const { start } = app.tracker.counter.period();
  expect(refusals).toEqual({
    lastMinute: 3,
    thisPeriod: 3,
    since: expect.any(String),
    causes: [{ cause: "limit", lastMinute: 3, thisPeriod: 3 }],
  });
  expect(Date.parse(refusals.since)).toBeGreaterThanOrEqual(start);
  // One of the first's went to the second, and that is none that was refused.
  expect(backends.map(({ passedBy }) => passedBy)).toEqual([
    { lastMinute: 4, thisPeriod: 4 },
    { lastMinute: 3, thisPeriod: 3 },
  ]);

  for (const { name } of app.router.upstreams) await call(admin, `/api/backends/${name}/drain`, { method: "POST" });
  expect((await call(proxy, "/objects/1", { headers: { "x-amz-date": "20261129T000000Z" } })).status).toBe(503);
  expect((await report()).refusals).toMatchObject({
    thisPeriod: 4,
    causes: [
      { cause: "limit", thisPeriod: 3 },
      { cause: "drained", thisPeriod: 1 },
    ],
  });
});

it("tells requests that no backend could be connected to for from those that one broke off, and why it did", async () => {
  const { app, proxy, admin } = await startApp(
    testConfig([{ name: "gone", url: new URL(`http://127.0.0.1:${await refusingPort()}`), limits: {} }]),
  );
  expect((await call(proxy, "/x")).status).toBe(502);
  const [gone] = app.router.upstreams;
  gone?.traffic.broke(Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET" }));
  const { refusals, backends } = (await call(admin, "/api/usage")).json as UsageReport;
  expect(refusals.causes).toEqual([{ cause: "unreachable", lastMinute: 1, thisPeriod: 1 }]);
  expect(backends[0]).toMatchObject({
    passedBy: { thisPeriod: 0 },
    broken: { lastMinute: 1, thisPeriod: 1 },
    brokenBy: { code: "UND_ERR_SOCKET", reason: expect.stringContaining("closes the connection") },
  });
});
