import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { openStore } from "../../src/counting/open-store.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { launchBrowser } from "../support/browser.ts";
import { call } from "../support/call.ts";
import { card, openPage, textOf, untilLive } from "./watched-page.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

const GIB = 1024 ** 3;
const SOON = { timeout: 10_000 };

/** The dashboard of a proxy, the form of `oci` open; its store can be made to fail. */
async function start() {
  const upstream = await startUpstream();
  const config = testConfig([
    { name: "oci", url: upstream.url, limits: { apiRequests: 1_000, egressBytes: 2 * GIB } },
    ...["b2", "c1", "c2", "c3", "c4"].map((name) => ({ name, url: upstream.url, limits: {} })),
  ]);
  const kept = await openStore(config.store, { timeline: true });
  onTestFinished(() => kept.close());
  let isAway = false;
  const change: typeof kept.change = async (wish) => {
    if (isAway) throw new Error("the database is away");
    return kept.change?.(wish);
  };
  const setAway = (away: boolean) => {
    isAway = away;
  };
  const store = { ...kept, change };
  const { admin, proxy } = await startApp(config, { store });
  const { page, complaints } = await openPage(browser, admin);
  await untilLive(page);
  const ask = (method: string, path: string, body: object = {}) =>
    call(admin, `/api/${path}`, { method, ...(method !== "GET" && { body: JSON.stringify(body) }) });
  const settings = async () => {
    const { json } = await ask("GET", "usage");
    const { backends } = json as { backends: { limits: object; settings: { limits: object } }[] };
    return { limits: backends[0]?.limits, ...backends[0]?.settings.limits };
  };
  const form = page.getByRole("form", { name: "Limits of oci" });
  const button = page.getByRole("button", { name: "Limits of oci" });
  const field = (label: string) => form.getByLabel(label, { exact: true });
  const now = (dimension: string) => expect.poll(() => textOf(form.locator(`[data-limit=${dimension}]`)), SOON);
  const press = (name: string) => form.getByRole("button", { name, exact: true }).click();
  return { ...{ admin, proxy, page, complaints, ask, settings, setAway }, ...{ form, button, field, now, press } };
}

const focused = (page: Page) =>
  page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.labels?.[0]?.textContent");
const changes = async (page: Page) =>
  (await page.getByRole("region", { name: "Who changed what" }).getByRole("row").allInnerTexts()).map((row) =>
    row.replace(/\s+/g, " ").trim(),
  );

it("limits are changed where they stand, by the API's numbers, and taken back to the file's", async () => {
  const { page, complaints, ask, settings, form, button, field, press } = await start();
  await ask("POST", "backends/oci/grants", { id: "g", amounts: { apiRequests: 50 }, reason: "once" });
  await card(page, "oci").shows("apiRequests", "0 of 1,050");
  await button.press("Enter");
  // What was granted for this period alone is no part of the limit.
  expect(await field("Requests").inputValue()).toBe("1,000");
  expect(await field("Egress").inputValue()).toBe("2 GiB");
  expect(await field("Ingress").inputValue()).toBe("");
  expect(await textOf(form)).toContain("From the configuration file.");
  await field("Requests").fill("12,345");
  await field("Egress").fill("");
  await field("Ingress").fill("1536 MiB");
  await field("Who changes them (optional)").fill("ada");
  await field("Reason (optional)").fill("a sale");
  await page.keyboard.press("Enter");
  await form.waitFor({ state: "hidden" });
  expect(await focused(page)).toBe("Limits of oci");
  expect(await settings()).toMatchObject({
    limits: { apiRequests: 12_395, ingressBytes: 1.5 * GIB },
    value: { apiRequests: 12_345, ingressBytes: 1.5 * GIB },
    ...{ from: "api", by: "ada", revision: expect.any(Number) },
  });
  // Opened again before an event tells of it: it is what was saved.
  await button.press("Enter");
  expect(await field("Requests").inputValue()).toBe("12,345");
  expect(await field("Ingress").inputValue()).toBe("1536 MiB");
  expect(await textOf(form)).toContain("In place of the file's, changed by ada");
  await page.keyboard.press("Escape");
  await form.waitFor({ state: "hidden" });
  await expect
    .poll(() => textOf(card(page, "oci").article), SOON)
    .toContain("limits are not the file's; changed by ada");
  await expect
    .poll(() => changes(page), SOON)
    .toContainEqual(
      expect.stringMatching(
        /^oci limits Requests 1,000, Egress 2 GiB Requests 12,345, Ingress 1536 MiB ada a sale \d.* UTC$/,
      ),
    );
  await button.press("Enter");
  await press("Back to the file's");
  await form.waitFor({ state: "hidden" });
  expect(await settings()).toMatchObject({ value: { apiRequests: 1_000, egressBytes: 2 * GIB }, from: "file" });
  await card(page, "oci").shows("apiRequests", "0 of 1,050");
  await expect.poll(() => textOf(card(page, "oci").article)).not.toContain("not the file's");

  // Who drains says so, too, and what drains does so until it is resumed.
  await page.getByRole("button", { name: "Drain b2" }).click();
  const dialog = page.getByRole("dialog", { name: "Drain b2?" });
  expect(await textOf(dialog)).toContain("until it is resumed, also after a restart");
  // The name is the one that signed before.
  expect(await dialog.getByLabel("Who drains it (optional)").inputValue()).toBe("ada");
  await dialog.getByLabel("Reason (optional)").fill("an invoice");
  await page.keyboard.press("Enter");
  await dialog.getByRole("button", { name: "Drain" }).click();
  await card(page, "b2").hasState("draining");
  await expect.poll(() => textOf(card(page, "b2").article)).toContain("until it is resumed; drained by ada");
  await expect
    .poll(() => changes(page), SOON)
    .toContainEqual(expect.stringMatching(/^b2 drain takes requests drained ada an invoice/));
  const { json } = await ask("GET", "changes");
  const told = json as { changes: { backend: string; setting: string }[] };
  expect((await changes(page)).slice(1).map((row) => row.split(" ")[1])).toEqual(
    told.changes.map(({ setting }) => (setting === "drained" ? "drain" : setting)),
  );
  expect(complaints).toEqual([]);
});

it("typed limits never overwrite another operator's change, which is shown beside them", async () => {
  const { page, proxy, ask, settings, form, button, field, now, press } = await start();
  await button.press("Enter");
  await field("Requests").fill("7,777");
  await ask("PUT", "backends/oci/limits", { limits: { apiRequests: 500 }, by: "eve" });
  // Nothing that comes with an event touches what is typed, or the focus.
  await now("apiRequests").toContain("Now 500.");
  await call(proxy, "/objects/10");
  await card(page, "oci").shows("apiRequests", "1 of 500");
  expect(await field("Requests").inputValue()).toBe("7,777");
  expect(await focused(page)).toBe("Requests");
  // Whoever looks for something else meanwhile finds it again.
  const search = page.getByRole("searchbox", { name: "Search backends" });
  await search.fill("c1");
  await form.waitFor({ state: "detached" });
  await search.fill("");
  expect(await field("Requests").inputValue()).toBe("7,777");
  await press("Save");
  await expect.poll(() => textOf(form.getByRole("alert")), SOON).toContain("eve has changed these limits meanwhile");
  expect(await settings()).toMatchObject({ value: { apiRequests: 500 }, by: "eve", revision: 1 });
  expect(await field("Requests").inputValue()).toBe("7,777");
  await now("egressBytes").toContain("Now no limit.");
  await ask("PUT", "backends/oci/limits", { limits: { apiRequests: 600 }, by: "mel" });
  await press("Back to the file's");
  await expect.poll(() => textOf(form.getByRole("alert")), SOON).toContain("mel has changed these limits meanwhile");
  await now("apiRequests").toContain("Now 600.");
  // It was seen now.
  await press("Save");
  await form.waitFor({ state: "hidden" });
  expect(await settings()).toMatchObject({ value: { apiRequests: 7_777, egressBytes: 2 * GIB }, revision: 3 });
});

it("says where a limit is wrong, and that the store is away, and keeps what was typed", async () => {
  const { page, settings, setAway, form, button, field, now, press } = await start();
  await button.press("Enter");
  await field("Requests").fill("5.000");
  await press("Save");
  await now("apiRequests").toContain("A whole number, such as 5000");
  expect(await field("Requests").getAttribute("aria-invalid")).toBe("true");
  expect(await focused(page)).toBe("Requests");
  await field("Requests").fill("5000");
  await field("Egress").fill("3 parsecs");
  await field("Ingress").fill("-1 GiB");
  await press("Save");
  await now("egressBytes").toContain("a size must be a number with one of B");
  await now("ingressBytes").toContain("a size must be");
  expect(await field("Requests").getAttribute("aria-invalid")).toBe(null);
  await field("Egress").fill("3 GiB");
  await field("Ingress").fill("0");
  setAway(true);
  await press("Save");
  await expect.poll(() => textOf(form.getByRole("alert")), SOON).toContain("the database is away");
  expect(await field("Egress").inputValue()).toBe("3 GiB");
  expect(await settings()).toMatchObject({ revision: 0 });
  setAway(false);
  await press("Save");
  await form.waitFor({ state: "hidden" });
  expect(await settings()).toMatchObject({ value: { apiRequests: 5_000, egressBytes: 3 * GIB, ingressBytes: 0 } });
  expect(await focused(page)).toBe("Limits of oci");
});

it("thresholds are percentages, changed where they stand, and never over another operator's", async () => {
  const { page, ask } = await start();
  const form = page.getByRole("form", { name: "Thresholds of oci" });
  const field = form.getByLabel("Tell at, of a limit");
  const alert = () => textOf(form.getByRole("alert"));
  const inForce = async () => {
    const { json } = await ask("GET", "usage");
    return (json as { backends: { settings: { thresholds: object } }[] }).backends[0]?.settings.thresholds;
  };
  const save = () => form.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Thresholds of oci" }).press("Enter");
  expect(await textOf(form)).toContain("Now 50 %, 80 %, 100 %. Empty: nobody is told.");
  for (const [typed, problem] of [
    ["half", "Percentages with a space between"],
    ["50 % 0 %", "expected a number above 0"],
  ] as const) {
    await field.fill(typed);
    await save();
    await expect.poll(() => textOf(form), SOON).toContain(problem);
    expect(await field.getAttribute("aria-invalid")).toBe("true");
    expect(await inForce()).toMatchObject({ value: [0.5, 0.8, 1], from: "file" });
  }
  await field.fill("80, 7% 99,5 %");
  await save();
  await form.waitFor({ state: "hidden" });
  expect(await inForce()).toMatchObject({ value: [0.07, 0.8, 0.995], from: "api" });
  await expect.poll(() => textOf(card(page, "oci").article), SOON).toContain("thresholds are not the file's");

  await page.getByRole("button", { name: "Thresholds of oci" }).press("Enter");
  expect(await field.inputValue()).toBe("7 %, 80 %, 99.5 %");
  await field.fill("");
  await ask("PUT", "backends/oci/thresholds", { thresholds: [0.25], by: "eve" });
  await save();
  await expect.poll(alert, SOON).toContain("eve has changed these thresholds meanwhile");
  expect(await inForce()).toMatchObject({ value: [0.25], by: "eve" });
  await form.getByRole("button", { name: "Back to the file's" }).click();
  await form.waitFor({ state: "hidden" });
  expect(await inForce()).toMatchObject({ value: [0.5, 0.8, 1], from: "file" });
});
