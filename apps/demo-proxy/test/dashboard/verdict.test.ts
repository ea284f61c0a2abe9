import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { UsageReport } from "../../src/admin/api/usage/usage-report.ts";
import { refusingPort } from "../proxy/node-upstream.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { launchBrowser } from "../support/browser.ts";
import { call } from "../support/call.ts";
import { openPage, textOf, untilLive } from "./watched-page.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

const SOON = { timeout: 15_000 };
const answer = (page: Page, name: string) => textOf(page.locator(`[data-answer=${name}]`));
const state = (page: Page) => page.locator("#verdict").getAttribute("data-state");
const headline = (page: Page) => textOf(page.locator("#verdict-headline"));

it("whether anybody is refused is said first, in the page and in its tab, by the API's numbers, until it is over", async () => {
  const upstream = await startUpstream();
  const limits = { apiRequests: 2 };
  const names = ["one", "two"];
  const { app, proxy, admin } = await startApp(testConfig(names.map((name) => ({ name, url: upstream.url, limits }))));
  const { page, complaints } = await openPage(browser, admin);
  await untilLive(page);
  expect([await state(page), await headline(page), await page.title()]).toEqual([
    "good",
    "All 2 backends take requests",
    "Usage",
  ]);
  expect(await answer(page, "refused")).toMatch(/Nobody\s+None since/);

  for (let n = 0; n < 3; n += 1) await call(proxy, "/objects/1");
  await expect.poll(() => headline(page), SOON).toBe("1 of 2 backends takes requests");
  expect([await state(page), await page.title()]).toEqual(["watch", "Usage"]);
  expect(await answer(page, "limits")).toMatch(/1 used up\s+Until 1\s\S+\s00:00\sUTC\s+one: requests used up/);
  expect(await answer(page, "refused")).toContain("Nobody");

  for (let n = 0; n < 6; n += 1) await call(proxy, "/objects/1");
  await expect.poll(() => page.title(), SOON).toBe("Nothing takes requests · Usage");
  expect([await state(page), await headline(page)]).toEqual(["bad", "Nothing takes requests"]);
  const { refusals, backends } = (await call(admin, "/api/usage")).json as UsageReport;
  expect([refusals.thisPeriod, backends.map(({ passedBy }) => passedBy.thisPeriod)]).toEqual([5, [7, 5]]);
  await expect
    .poll(() => answer(page, "refused"), SOON)
    .toMatch(/5 requests\s+5 requests since .*UTC\s+no room within limits: 5/);
  for (const [name, count] of [
    ["one", 7],
    ["two", 5],
  ] as const) {
    const note = page.getByRole("article", { name, exact: true }).locator(".card-note");
    await expect.poll(() => textOf(note), SOON).toContain(`found no room here: ${count} requests this period`);
  }

  await app.tracker.grant("two", { apiRequests: 100 }, { id: "1", reason: "more" });
  await expect.poll(() => state(page), SOON).toBe("watch");
  // Somebody was refused a moment ago.
  expect(await page.title()).toBe("5 refused · Usage");
  expect(complaints).toEqual([]);
});

it("what is out of reach is named with its cause, and what nobody can use as such", async () => {
  const url = new URL(`http://127.0.0.1:${await refusingPort()}`);
  const { app, proxy, admin } = await startApp(testConfig([{ name: "gone", url, limits: {} }]));
  expect((await call(proxy, "/x")).status).toBe(502);
  const { page } = await openPage(browser, admin);
  await untilLive(page);
  await expect.poll(() => headline(page), SOON).toBe("Nothing takes requests");
  expect(await textOf(page.locator("#verdict-detail"))).toContain(
    "1 out of reach. What is out of reach is tried again",
  );
  expect(await answer(page, "reach")).toMatch(/1 backend\s.*gone, for .*: it refuses connections.* ECONNREFUSED/s);
  expect(await answer(page, "refused")).toMatch(/no backend in reach: 1/);
  for (const upstream of app.router.upstreams) upstream.draining = true;
  await expect.poll(() => answer(page, "reach"), SOON).not.toContain("ECONNREFUSED");
  expect(await textOf(page.locator("#verdict-detail"))).toBe("1 drained.");
});

it("an error is shown until what it is about is over, or somebody closes it", async () => {
  const upstream = await startUpstream();
  const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }]);
  const { app, admin } = await startApp(config);
  const { page } = await openPage(browser, admin);
  await untilLive(page);
  const broken = async () => Promise.reject(new Error("proxy.yaml:3: limits is no number"));
  await expect(app.live.take(broken)).rejects.toThrow();
  const refused = page.locator("#config-notice");
  await expect.poll(() => textOf(refused), SOON).toContain("proxy.yaml:3");
  await app.live.take(async () => config);
  await expect.poll(() => refused.isVisible(), SOON).toBe(false);

  // Somebody takes the backend out of the file while the page still has its button.
  const alert = page.locator("#notice");
  await page.route("**/drain", (route) => route.abort(), { times: 2 });
  const drain = async () => {
    await page.getByRole("button", { name: "Drain oci" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Drain", exact: true }).click();
  };
  await drain();
  await expect.poll(() => textOf(alert), SOON).toContain("oci does not drain");
  await alert.getByRole("button", { name: "Close this message" }).press("Enter");
  expect(await alert.isVisible()).toBe(false);
  await drain();
  await expect.poll(() => alert.isVisible(), SOON).toBe(true);
  await drain();
  await expect.poll(() => alert.isVisible(), SOON).toBe(false);
  expect(app.router.upstreams[0]?.draining).toBe(true);
});
