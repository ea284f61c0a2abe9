import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Browser, Locator, Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import type { Address } from "../../src/config/address.ts";

export interface WatchedPage {
  readonly page: Page;
  /** What the page complained about: console errors and warnings, errors that nobody caught, a policy that was broken. */
  readonly complaints: string[];
  /** The hosts that it asked for anything. */
  readonly hosts: Set<string>;
}

export interface Look {
  readonly width?: number;
  readonly colorScheme?: "light" | "dark";
}

/** The dashboard in a browser context of its own, closed after the test. */
export function openPage(browser: Browser, admin: Address, look: Look = {}): Promise<WatchedPage> {
  return openUrl(browser, `http://127.0.0.1:${admin.port}/`, look);
}

/** The same at any address; a certificate there need not be vouched for. */
export async function openUrl(browser: Browser, url: string, look: Look = {}): Promise<WatchedPage> {
  const { width = 1440, colorScheme = "light" } = look;
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme,
    ignoreHTTPSErrors: true,
  });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  const hosts = new Set<string>();
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => hosts.add(new URL(request.url()).host));
  await page.goto(url);
  return { page, complaints, hosts };
}

/** Waits until the page shows the proxy's numbers. */
export async function untilLive(page: Page): Promise<void> {
  await page.locator("#connection[data-state=live]").waitFor();
  await page.locator("#content").waitFor();
}

/** What somebody can see of it; what is hidden has no text. */
export function textOf(locator: Locator): Promise<string> {
  // biome-ignore lint/performance/useDomNodeTextContent: textContent would tell what is hidden, too.
  return locator.innerText();
}

/** A text of a backend's card, which is read again until it is as expected. */
export function card(page: Page, backend: string) {
  const article = page.getByRole("article", { name: backend, exact: true });
  return {
    article,
    shows: (dimension: string, text: string | RegExp) =>
      expect.poll(() => textOf(article.locator(`[data-dimension=${dimension}]`)), { timeout: 15_000 }).toMatch(text),
    hasState: (state: string) => expect.poll(() => article.getAttribute("data-state"), { timeout: 15_000 }).toBe(state),
  };
}

/** What axe-core finds that is serious or critical, by rule and place. */
export async function violations(page: Page): Promise<readonly string[]> {
  const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  // As text to be evaluated by the debugger: the page's own policy would not let a script in.
  await page.evaluate(source);
  const found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
  const { violations } = found as { violations: { id: string; impact: string; nodes: { html: string }[] }[] };
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
