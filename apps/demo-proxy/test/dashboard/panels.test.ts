import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ClientsReport } from "../../src/admin/api/clients.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { refusingPort } from "../proxy/node-upstream.ts";
import { startApp, startUpstream } from "../support/app.ts";
import { launchBrowser } from "../support/browser.ts";
import { call } from "../support/call.ts";
import { configured } from "../support/configured-app.ts";
import { openPage, textOf, untilLive } from "./watched-page.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

const SOON = { timeout: 15_000 };
const key = (n: number) => `key-of-client-${n}-0123456789`;

interface WebhookList {
  readonly webhooks: readonly { readonly failures: number }[];
}

/** A proxy with 25 clients, each of which may send ten requests a month, and a webhook that nobody answers at. */
async function start() {
  const upstream = await startUpstream();
  const clients = Array.from({ length: 25 }, (_, n) => `- { name: client-${n}, key: ${key(n)}, plan: free }`);
  const yaml = `
thresholds: [0.5, 0.8, 1]
webhooks: [{ name: ops, url: "http://127.0.0.1:${await refusingPort()}/" }]
plans: { free: { month: { apiRequests: 10 } } }
clients:
${clients.join("\n")}
backends: [{ name: oci, url: "${upstream.url}", limits: { apiRequests: 20 } }]`;
  const { thresholds, webhooks } = parseConfig(yaml, { file: "test.yaml", folder: "/" });
  const started = await startApp({ ...configured(yaml), thresholds, webhooks });
  const ask = (n: number) => call(started.proxy, "/objects/10", { headers: { authorization: `Bearer ${key(n)}` } });
  return { ...started, ask };
}

const rows = async (page: Page, region: string) =>
  (await page.getByRole("region", { name: region, exact: true }).getByRole("row").allInnerTexts()).map((row) =>
    row.replace(/\s+/g, " ").trim(),
  );

it("who uses it, which thresholds are reached and whether that is told are the API's numbers", async () => {
  const { admin, ask } = await start();
  for (let n = 0; n < 11; n += 1) await ask(7);
  for (let n = 0; n < 5; n += 1) await ask(3);
  await call(admin, "/api/flush", { method: "POST" });
  const failures = async () => ((await call(admin, "/api/webhooks")).json as WebhookList).webhooks[0]?.failures;
  await expect.poll(failures, SOON).toBeGreaterThan(0);
  const { page, complaints } = await openPage(browser, admin, { width: 375 });
  await untilLive(page);

  await expect.poll(() => rows(page, "Clients"), SOON).toHaveLength(11);
  const [, first, second] = await rows(page, "Clients");
  expect(first).toBe("client-7 free requests of the month 10 of 10, 100 % 10 requests, 100 B out 1");
  expect(second).toBe("client-3 free requests of the month 5 of 10, 50 % 5 requests, 50 B out 0");
  const { clients, total } = (await call(admin, "/api/clients?limit=2")).json as ClientsReport;
  expect([total, clients.map(({ name, refused }) => [name, refused])]).toEqual([
    25,
    [
      ["client-7", 1],
      ["client-3", 0],
    ],
  ]);
  // It is refused as it is meant to be: nothing is wrong with the proxy.
  expect(await page.locator("#verdict").getAttribute("data-state")).toBe("good");
  expect(await textOf(page.locator("[data-answer=refused]"))).toContain("a client's own limit: 1");

  await page.getByRole("button", { name: "Next page of clients" }).press("Enter");
  await expect.poll(() => textOf(page.getByRole("navigation", { name: "Pages of clients" }))).toContain("11–20 of 25");
  await page.getByRole("searchbox", { name: "Search clients" }).fill("CLIENT-24");
  await expect.poll(() => rows(page, "Clients"), SOON).toHaveLength(2);
  expect((await rows(page, "Clients"))[1]).toContain("client-24 free requests of the month 0 of 10, 0 % nothing 0");

  const reached = await rows(page, "Thresholds that are reached");
  expect(reached[1]).toBe("oci Requests 15 of 20 75 % 50 %");
  expect(await textOf(page.locator("#thresholds-summary"))).toContain("at 50 %, 80 %, 100 %");
  expect((await rows(page, "Webhooks"))[1]).toMatch(/ops http.* 0 Not in this run .*failed.*ECONNREFUSED/);
  const overflow = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
  expect(overflow).toBeLessThanOrEqual(0);
  expect(complaints).toEqual([]);
});
