import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { refusingPort } from "../proxy/node-upstream.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { launchBrowser } from "../support/browser.ts";
import { call } from "../support/call.ts";
import { card, openPage, textOf, untilLive, violations } from "./watched-page.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

/** Backends in every state that there is: unreachable, full, in use, unlimited, draining. */
async function start(token?: string) {
  const upstream = await startUpstream();
  const many = { apiRequests: 1e15, egressBytes: 9e15, ingressBytes: 9e15 };
  const config = testConfig(
    [
      { name: "gone", url: new URL(`https://localhost:${await refusingPort()}`), limits: {} },
      { name: "full", url: upstream.url, limits: { apiRequests: 3 } },
      { name: `a-long-name-${"x".repeat(200)}`, url: upstream.url, limits: many },
      { name: "free", url: upstream.url, limits: {} },
      { name: "leaving", url: upstream.url, limits: { egressBytes: 5_000 } },
    ],
    token === undefined ? {} : { admin: { listen: { host: "127.0.0.1", port: 0 }, token } },
  );
  const started = await startApp(config);
  const { key: period } = started.app.tracker.counter.period();
  const usage = { apiRequests: 123_456_789, egressBytes: 8e15, ingressBytes: 4e15 };
  const yearAgo = `${Number(period.slice(0, 4)) - 1}${period.slice(4)}`;
  for (const month of [yearAgo, period]) {
    await started.app.store.merge([
      { writer: "import", period: month, backend: `a-long-name-${"x".repeat(200)}`, usage },
    ]);
  }
  const grant = { id: "1".repeat(256), reason: `x${"y z".repeat(300)}`, by: "ada@example.com" };
  for (const name of ["full", `a-long-name-${"x".repeat(200)}`]) {
    await started.app.tracker.grant(name, { apiRequests: 1, egressBytes: 2 ** 50 }, grant);
  }
  for (let n = 0; n < 5; n += 1) await call(started.proxy, "/objects/100");
  await call(started.admin, "/api/backends/leaving/drain", { method: "POST" });
  return started;
}

/** The texts beside each other that touch, if any. */
const COLLISIONS = `(() => {
  const touching = [];
  for (const row of document.querySelectorAll("figcaption, .limit-fields, .limit-buttons, .axis, .meter-head, .card-head, .section-head, .pager, .rates > div")) {
    const boxes = [...row.children].flatMap((child) => [...child.getClientRects()].map((box) => ({ box, text: child.textContent })));
    for (const [index, one] of boxes.entries()) {
      for (const other of boxes.slice(index + 1)) {
        const apart = one.box.right <= other.box.left || other.box.right <= one.box.left || one.box.bottom <= other.box.top || other.box.bottom <= one.box.top;
        if (!apart) touching.push([one.text, other.text]);
      }
    }
  }
  return touching;
})()`;

/** The name of what has the focus, nearly as a screen reader says it; empty for the page as a whole. */
const FOCUSED = `(() => {
  const focused = document.activeElement;
  if (focused === null || focused === document.body) return "";
  return focused.getAttribute("aria-label") ?? (focused.labels?.[0] ?? focused).textContent ?? focused.tagName;
})()`;

/** Presses Tab until the focus leaves the page at its end; answers what had it, by name. */
async function tabStops(page: Page): Promise<readonly string[]> {
  const stops: string[] = [];
  // Before the first stop the focus may rest on the page as a whole once.
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press("Tab");
    const stop = String(await page.evaluate(FOCUSED));
    if (stop !== "") stops.push(stop);
    else if (stops.length > 0) break;
  }
  return stops;
}

describe.each([375, 768, 1440])("at %d px", (width) => {
  it.each(["light", "dark"] as const)(
    "in %s colours nothing is cut off, and axe finds nothing serious",
    async (colorScheme) => {
      const { admin } = await start();
      const { page, complaints } = await openPage(browser, admin, { width, colorScheme });
      await untilLive(page);
      await card(page, "full").hasState("exhausted");
      await expect.poll(() => textOf(card(page, "gone").article)).toContain("ECONNREFUSED");
      await page.locator("#timeline canvas").first().waitFor();
      await page.locator("#instances table").waitFor();
      await page.locator("#changes table").waitFor();
      for (const summary of await page.locator("summary").all()) await summary.click();
      await page.getByRole("button", { name: "Limits of full" }).click();
      const form = page.getByRole("form", { name: "Limits of full" });
      await form.getByLabel("Requests").fill("some");
      await form.getByRole("button", { name: "Save" }).click();
      await form.getByText("A whole number").waitFor();
      await page.locator("#audit table").waitFor();
      await page.locator("#grants table").waitFor();
      const overflow = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
      expect(overflow).toBeLessThanOrEqual(0);
      expect(await page.evaluate(COLLISIONS)).toEqual([]);
      expect(await violations(page)).toEqual([]);
      expect(complaints).toEqual([]);
    },
  );
});

describe("the form for the token", () => {
  it.each(["light", "dark"] as const)("is fine for axe in %s colours", async (colorScheme) => {
    const { admin } = await start("s3cret");
    const { page } = await openPage(browser, admin, { width: 375, colorScheme });
    await page.getByLabel("Token", { exact: true }).waitFor();
    expect(await violations(page)).toEqual([]);
  });
});

describe("with the keyboard alone", () => {
  it("everything can be reached, and the first stop leads past the overview", async () => {
    const { admin } = await start();
    const { page } = await openPage(browser, admin);
    await untilLive(page);
    await page.locator("#timeline canvas").first().waitFor();
    await page.locator("#instances table").waitFor();
    const stops = await tabStops(page);
    expect(stops[0]).toContain("Skip to the backends");
    const names = [
      "Flush now",
      "Drain full",
      "Drain free",
      "Resume leaving",
      "Limits of full",
      "Thresholds that are reached",
      "This month by day",
      "Backend whose usage is shown",
      "Days or hours in numbers",
      "What was granted, and why",
      "Who changed what",
      "In numbers",
      "Instances",
      "How these numbers are made",
    ];
    for (const name of names) {
      expect(stops.join("\n")).toContain(name);
    }
    const interactive = await page
      .locator("a, button, summary, select, input:not([type=radio]), input:checked")
      .filter({ visible: true })
      .count();
    expect(stops.length).toBeGreaterThanOrEqual(interactive);
  });

  it("a backend is drained after a question, not when one escapes from it, and resumed without one", async () => {
    const { app, admin } = await start();
    const { page } = await openPage(browser, admin);
    await untilLive(page);
    const drain = page.getByRole("button", { name: "Drain free" });
    const free = app.router.upstreams.find(({ name }) => name === "free");
    const dialog = page.getByRole("dialog", { name: "Drain free?" });

    await drain.press("Enter");
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    await drain.press("Enter");
    await dialog.waitFor();
    // The safe answer has the focus.
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    expect(free?.draining).toBe(false);

    await drain.press("Enter");
    await dialog.waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await card(page, "free").hasState("draining");
    expect(free?.draining).toBe(true);
    expect(await textOf(card(page, "free").article)).toContain("Drained");

    // The button is the same one, so it still has the focus.
    await expect.poll(() => page.evaluate(FOCUSED)).toBe("Resume free");
    await page.keyboard.press("Enter");
    await card(page, "free").hasState("ready");
    expect(free?.draining).toBe(false);
  });

  it("the focus stays where it is while the numbers change", async () => {
    const { proxy, admin } = await start();
    const { page } = await openPage(browser, admin);
    await untilLive(page);
    const drain = page.getByRole("button", { name: "Drain full" });
    await drain.focus();
    await call(proxy, "/objects/100");
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(await page.evaluate(FOCUSED)).toBe("Drain full");
  });
});
