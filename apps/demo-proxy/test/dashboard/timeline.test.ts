import { systemClock } from "@usage/counter-core";
import Database from "better-sqlite3";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { StepsReport } from "../../src/admin/api/history/steps-report.ts";
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
const offsetMs = Date.parse("2026-11-18T12:30:00Z") - Date.now();
const clock = { ...systemClock, now: () => Date.now() + offsetMs };

/** A proxy in the middle of a month; of two backends, one was used 100 and the other 20 times a day. */
async function start() {
  const upstream = await startUpstream();
  const backends = ["oci", "b2"].map((name) => ({ name, url: upstream.url, limits: { apiRequests: 10_000 } }));
  const config = testConfig(backends);
  const started = await startApp(config, { clock });
  const { store } = started.app;
  for (let day = 1; day <= 18; day += 1) {
    const used = (backend: string, apiRequests: number) => ({
      writer: "import",
      period: "2026-11",
      backend,
      usage: { apiRequests, egressBytes: apiRequests * 1024 },
    });
    const at = Date.parse(`2026-11-${String(day).padStart(2, "0")}T09:10:00Z`);
    await store.merge([used("oci", day * 100), used("b2", day * 20)], { at });
  }
  return { ...started, file: config.store.kind === "sqlite" ? config.store.file : "" };
}

/** The rows of the table beside the charts. */
const rows = async (page: Page) =>
  (await page.locator("#timeline-table tbody tr").allInnerTexts()).map((row) => row.replace(/\s+/g, " ").trim());

/** How many colours were drawn. */
const drawn = (page: Page) =>
  page.locator("[data-dimension=apiRequests] canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(Array.from(new Uint32Array(data.buffer))).size;
  });

it("the days of the month and the hours of today are the API's and the database's, drawn and in a table, with what they lead to", async () => {
  const { admin, file } = await start();
  const { page, complaints, hosts } = await openPage(browser, admin, { width: 375 });
  await untilLive(page);
  await page.getByText("Days or hours in numbers").click();
  await expect.poll(() => rows(page), SOON).toHaveLength(18);
  expect(await rows(page)).toEqual(Array.from({ length: 18 }, (_, n) => `${18 - n} Nov 120 120 KiB 0 B`));
  const report = (await call(admin, "/api/history?by=day")).json as StepsReport;
  expect(report.all.usage.apiRequests).toEqual(Array.from({ length: 18 }, () => 120));
  const database = new Database(file, { readonly: true });
  const stored = database
    .prepare("select sum(amount) as sum from usage_timeline where dimension = 'apiRequests'")
    .get();
  database.close();
  expect(stored).toEqual({ sum: 18 * 120 });

  const requests = page.locator("#timeline [data-dimension=apiRequests]");
  expect(await textOf(requests.locator("figcaption"))).toMatch(/Requests\s*2,160/);
  const { atEnd, low, high } = report.all.projection?.apiRequests ?? { atEnd: 0, low: 0, high: 0 };
  expect(low).toBeLessThanOrEqual(atEnd);
  expect(atEnd).toBeGreaterThan(3_000);
  const shown = (amount: number) => amount.toLocaleString("en");
  expect(await textOf(requests)).toContain(
    `Projected ${shown(atEnd)}; ${shown(low)} to ${shown(high)} in 90 of 100 cases.`,
  );
  expect(await requests.getByRole("img").getAttribute("aria-label")).toContain(
    "2,160 in 18 days of this month. Projected",
  );
  await expect.poll(() => drawn(page), SOON).toBeGreaterThan(3);

  await page.getByRole("combobox", { name: "Backend whose usage is shown" }).selectOption("b2");
  await expect.poll(async () => (await rows(page))[0], SOON).toBe("18 Nov 20 20 KiB 0 B");
  await page.getByRole("radio", { name: "This month by day" }).focus();
  await page.keyboard.press("ArrowRight");
  await expect.poll(() => rows(page), SOON).toHaveLength(13);
  expect((await rows(page)).slice(2, 5)).toEqual(["10:00 0 0 B 0 B", "09:00 20 20 KiB 0 B", "08:00 0 0 B 0 B"]);
  await expect.poll(() => drawn(page), SOON).toBeGreaterThan(3);

  await expect.poll(() => textOf(page.locator("#instances-summary")), SOON).toBe("1 instance running");
  const instance = page.getByRole("region", { name: "Instances" }).getByRole("row");
  expect(await textOf(instance.nth(1))).toMatch(/127\.0\.0\.1:\d+ on .*process \d+ \(this one\)\s+Running\s.*nothing/s);
  expect(await textOf(instance.nth(2))).toMatch(/Others, such as imports\s.*2,160 requests, 2.1 MiB out/s);
  expect([...hosts]).toEqual([`127.0.0.1:${admin.port}`]);
  expect(complaints).toEqual([]);
});

it("of a month that has hardly begun nothing is projected", async () => {
  const upstream = await startUpstream();
  const { admin, proxy } = await startApp(testConfig([{ name: "oci", url: upstream.url, limits: {} }]));
  await call(proxy, "/objects/10");
  await call(admin, "/api/flush", { method: "POST" });
  const { page } = await openPage(browser, admin);
  await untilLive(page);
  await expect.poll(() => textOf(page.locator("#timeline")), SOON).toContain("Too little was seen to project it.");
  expect(await textOf(page.locator("#timeline"))).not.toContain("Projected");
});
