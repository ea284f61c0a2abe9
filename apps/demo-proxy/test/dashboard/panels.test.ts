import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ClientsReport } from "../../src/admin/api/clients.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { refusingPort } from "../proxy/node-upstream.ts";
import { startApp, startUpstream } from "../support/app.ts";
import { launchBrowser } from "../support/browser.ts";
import { call } from "../support/call.ts";
import { configured } from "../support/configured-app.ts";
import { openPage, textOf, untilLive, violations } from "./watched-page.ts";

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
plans: { free: { month: { apiRequests: 10 } }, pro: { month: { apiRequests: 1000 }, day: { egressBytes: 1GiB } } }
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
  expect(first).toBe("client-7 free requests of the month 10 of 10, 100 % 10 requests, 100 B out 1 Change");
  expect(second).toBe("client-3 free requests of the month 5 of 10, 50 % 5 requests, 50 B out 0 Change");
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
  expect((await rows(page, "Clients"))[1]).toContain(
    "client-24 free requests of the month 0 of 10, 0 % nothing 0 Change",
  );

  const reached = await rows(page, "Thresholds that are reached");
  expect(reached[1]).toBe("oci Requests 15 of 20 75 % 50 %");
  expect(await textOf(page.locator("#thresholds-summary"))).toContain("at 50 %, 80 %, 100 %");
  expect((await rows(page, "Webhooks"))[1]).toMatch(/ops http.* 0 Not in this run .*failed.*ECONNREFUSED/);
  const overflow = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
  expect(overflow).toBeLessThanOrEqual(0);
  expect(complaints).toEqual([]);
});

it("a client's plan and limits are changed where it stands, and never over another operator's change", async () => {
  const { admin } = await start();
  const { page, complaints } = await openPage(browser, admin, { width: 375 });
  await untilLive(page);
  const put = (path: string, body: object) =>
    call(admin, `/api/clients/client-3/${path}`, { method: "PUT", body: JSON.stringify(body) });
  const client = async () => {
    const { clients } = (await call(admin, "/api/clients?search=client-3&limit=1")).json as ClientsReport;
    return clients[0]?.settings;
  };
  const form = (of: string) => page.getByRole("form", { name: `${of} of client-3` });
  const press = (of: string, name: string) => form(of).getByRole("button", { name, exact: true }).click();
  const row = async () => (await rows(page, "Clients")).find((text) => text.startsWith("client-3 "));
  const alert = (of: string) => expect.poll(() => textOf(form(of).getByRole("alert")), SOON);

  await page.getByRole("searchbox", { name: "Search clients" }).fill("client-3");
  await expect.poll(() => rows(page, "Clients"), SOON).toHaveLength(2);
  await page.getByRole("button", { name: "Change client-3" }).press("Enter");
  await page.getByRole("button", { name: "Plan of client-3" }).press("Enter");
  expect(await textOf(form("Plan"))).toContain("From the configuration file.");
  await form("Plan").getByLabel("Plan", { exact: true }).selectOption("pro");
  await form("Plan").getByLabel("Who changes them (optional)").fill("ada");
  await press("Plan", "Save");
  await form("Plan").waitFor({ state: "hidden" });
  expect(await client()).toMatchObject({ plan: { from: "api", value: "pro", by: "ada", revision: 1 } });
  await expect.poll(row, SOON).toMatch(/^client-3 pro requests of the month 0 of 1,000/);
  await expect
    .poll(() => rows(page, "Who changed what"), SOON)
    .toContainEqual(expect.stringMatching(/^client client-3 plan free pro ada/));

  await page.getByRole("button", { name: "Limits of client-3" }).press("Enter");
  const field = (window: string, label: string) =>
    form("Limits").locator(`[data-window=${window}]`).getByLabel(label, { exact: true });
  // What its plan says stands where it has nothing of its own; other windows are folded away.
  expect(await field("day", "Egress").getAttribute("placeholder")).toBe("1 GiB of the plan");
  expect(await field("hour", "Requests").isVisible()).toBe(false);
  await form("Limits").getByText("Each hour").click();
  await field("hour", "Requests").fill("5.000");
  await press("Limits", "Save");
  expect(await textOf(form("Limits").locator("[data-window=hour]"))).toContain("A whole number, such as 5000");
  await field("hour", "Requests").fill("5,000");
  await field("day", "Egress").fill("2 potatoes");
  await press("Limits", "Save");
  await expect.poll(() => textOf(form("Limits").locator("[data-window=day]")), SOON).toContain("a size must be");
  await field("day", "Egress").fill("2 GiB");
  await put("limits", { limits: { minute: { apiRequests: 7 } }, by: "eve" });
  await press("Limits", "Save");
  expect(await violations(page)).toEqual([]);
  await alert("Limits").toContain("eve has changed these limits meanwhile");
  expect(await client()).toMatchObject({ limits: { value: { minute: { apiRequests: 7 } }, by: "eve" } });
  expect(await field("hour", "Requests").inputValue()).toBe("5,000");
  expect(await textOf(form("Limits").locator("[data-window=minute]"))).toContain("Now 7. Empty: no limit.");
  await press("Limits", "Save");
  await form("Limits").waitFor({ state: "hidden" });
  const value = { hour: { apiRequests: 5_000 }, day: { egressBytes: 2 * 1024 ** 3 } };
  expect(await client()).toMatchObject({ limits: { from: "api", value, by: "ada", revision: 3 } });

  await page.getByRole("button", { name: "Limits of client-3" }).press("Enter");
  await press("Limits", "Back to the file's");
  await form("Limits").waitFor({ state: "hidden" });
  expect(await client()).toMatchObject({ limits: { from: "file", value: {} } });
  const overflow = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
  expect(overflow).toBeLessThanOrEqual(0);
  await page.getByRole("button", { name: "Close the settings of client-3" }).press("Enter");
  await page.getByRole("group", { name: "Settings of client-3" }).waitFor({ state: "detached" });
  expect(await page.evaluate("document.activeElement.getAttribute('aria-label')")).toBe("Change client-3");
  expect(complaints).toEqual([expect.stringContaining("400"), expect.stringContaining("412")]);
});
