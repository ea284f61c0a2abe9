import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
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

it("1,000 backends are a page of ten, worst first, that can be searched and turned by keyboard while others are answered", async () => {
  const [upstream, gone] = [await startUpstream(), new URL(`http://127.0.0.1:${await refusingPort()}`)];
  const name = (n: number) => `b-${String(n).padStart(3, "0")}`;
  const urlOf = (n: number) => (n === 500 ? gone : upstream.url);
  const backends = Array.from({ length: 1_000 }, (_, n) => ({
    name: name(n),
    url: urlOf(n),
    limits: { apiRequests: 1_000 },
  }));
  const { app, proxy, admin } = await startApp(testConfig(backends));
  const period = app.tracker.counter.period().key;
  const used = (n: number, apiRequests: number) => ({
    writer: "import",
    period,
    backend: name(n),
    usage: { apiRequests },
  });
  await app.store.merge([used(700, 1_000), used(3, 900), used(999, 400)]);
  await app.flusher.flush();
  for (const upstream of app.router.upstreams) upstream.draining = upstream.name === name(998);
  const [unreachable] = app.router.upstreams.filter((upstream) => upstream.name === name(500));
  unreachable?.health.failed(Object.assign(new Error("no"), { code: "ECONNREFUSED" }), false, false);

  const { page, complaints } = await openPage(browser, admin);
  await untilLive(page);
  let slowestMs = 0;
  for (let n = 0; n < 20; n += 1) {
    const beganMs = performance.now();
    expect((await call(admin, "/healthz")).status).toBe(200);
    slowestMs = Math.max(slowestMs, performance.now() - beganMs);
  }
  // Turns are some milliseconds long; a machine that does other things as well takes longer.
  expect(slowestMs).toBeLessThan(1_000);

  const names = () => page.locator("#backends h3").allTextContents();
  expect((await names()).slice(0, 5)).toEqual([500, 700, 3, 999, 0].map(name));
  expect(await names()).toHaveLength(10);
  const pages = page.getByRole("navigation", { name: "Pages of backends" });
  expect(await textOf(pages)).toContain("1–10 of 1,000");
  await page.getByRole("button", { name: "Next page of backends" }).press("Enter");
  expect(await textOf(pages)).toContain("11–20 of 1,000");
  await expect.poll(names).toContain(name(15));

  const search = page.getByRole("searchbox", { name: "Search backends" });
  await search.fill("B-99");
  await expect.poll(names).toEqual([999, 990, 991, 992, 993, 994, 995, 996, 997, 998].map(name));
  expect(await textOf(pages)).toContain("1–10 of 10 that match");
  // The buttons of a card, drained or not, are one line.
  const lines =
    "[...document.querySelectorAll('#backends .card-buttons')].map((all) => new Set([...all.children].map((one) => one.getBoundingClientRect().top)).size)";
  expect(await page.evaluate(lines)).toEqual(Array(10).fill(1));
  await search.fill("nothing is called so");
  await expect.poll(() => textOf(pages)).toContain("None match");
  await search.fill("");
  await page.getByRole("combobox", { name: "Order of backends" }).selectOption("By name");
  expect(await names()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(name));

  // Somebody is at a card: nothing moves under their hands, however bad others get.
  await page.getByRole("combobox", { name: "Order of backends" }).selectOption("Most used first");
  await page.getByRole("button", { name: `Drain ${name(700)}` }).focus();
  const before = await names();
  await app.store.merge([used(3, 2_000)]);
  await app.flusher.flush();
  await expect
    .poll(() => textOf(page.getByRole("article", { name: name(3), exact: true })), SOON)
    .toContain("2,000 of 1,000");
  expect(await names()).toEqual(before);
  await search.focus();
  await expect.poll(async () => (await names())[0], SOON).toBe(name(3));
  expect((await call(proxy, "/objects/1")).status).toBe(200);
  expect(complaints).toEqual([]);
});
