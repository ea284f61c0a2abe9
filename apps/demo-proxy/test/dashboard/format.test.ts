import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { launchBrowser } from "../support/browser.ts";
import { openPage } from "./watched-page.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

/** What the page's own functions make of values, asked in the browser, with plain spaces. */
async function format(page: Page, ...calls: readonly string[]): Promise<readonly string[]> {
  const results = await page.evaluate(
    `import("/dashboard/format.js").then((f) => [${calls.map((call) => `f.${call}`)}])`,
  );
  return (results as string[]).map((text) => text.replaceAll("\u00a0", " "));
}

async function open(): Promise<Page> {
  const upstream = await startUpstream();
  const { admin } = await startApp(testConfig([{ name: "oci", url: upstream.url, limits: {} }]));
  return (await openPage(browser, admin)).page;
}

describe("numbers for people", () => {
  it("are exact while they are small, and have at most three digits and a unit then", async () => {
    const page = await open();
    const counts = [0, 9_999, 10_000, 12_345, 999_499, 999_960, 12_345_678, Number.MAX_SAFE_INTEGER];
    expect(await format(page, ...counts.map((count) => `formatCount(${count})`))).toEqual([
      "0",
      "9,999",
      "10k",
      "12.3k",
      "999k",
      "1M",
      "12.3M",
      "9P",
    ]);
    const bytes = [0, 512, 1_023, 1_024, 1_536, 10 * 1024 ** 3, Number.MAX_SAFE_INTEGER];
    expect(await format(page, ...bytes.map((amount) => `formatAmount("egressBytes", ${amount})`))).toEqual([
      "0 B",
      "512 B",
      "1 KiB",
      "1 KiB",
      "1.5 KiB",
      "10 GiB",
      "8 PiB",
    ]);
  });

  it("of a limit name the unit once where it is the same", async () => {
    const page = await open();
    const [mib, gib] = [1024 ** 2, 1024 ** 3];
    expect(
      await format(
        page,
        `formatPart("egressBytes", ${4.2 * gib}, ${10 * gib})`,
        `formatPart("egressBytes", ${4 * mib}, ${10 * gib})`,
        `formatPart("ingressBytes", 0, ${10 * gib})`,
        `formatPart("apiRequests", 12345, 50000)`,
      ),
    ).toEqual(["4.2 of 10 GiB", "4 MiB of 10 GiB", "0 of 10 GiB", "12.3k of 50k"]);
  });

  it("are 100 % only when the limit is reached, and never 0 % when something is used", async () => {
    const page = await open();
    const parts = [0, 0.0001, 0.01, 0.49, 0.9999, 1, 12.5];
    expect(await format(page, ...parts.map((part) => `formatPercent(${part})`))).toEqual([
      "0 %",
      "< 1 %",
      "1 %",
      "49 %",
      "99 %",
      "100 %",
      "1,250 %",
    ]);
  });

  it("of time have the two largest units, and instants are in UTC", async () => {
    const page = await open();
    const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];
    const spans = [
      -5,
      250,
      1_999,
      59 * second,
      3 * minute + 20 * second,
      45 * minute,
      5 * hour,
      6 * day + 4 * hour,
      20 * day,
    ];
    expect(await format(page, ...spans.map((span) => `formatDuration(${span})`))).toEqual([
      "0 ms",
      "250 ms",
      "1 s",
      "59 s",
      "3 min 20 s",
      "45 min",
      "5 h",
      "6 d 4 h",
      "20 d",
    ]);
    const instants = [
      `formatInstant("2026-11-27T14:05:59Z")`,
      `formatPeriod("2026-11")`,
      `formatPeriod("2026-11", "short")`,
    ];
    expect(await format(page, ...instants, `formatPeriod("2026-11-03")`)).toEqual([
      "27 Nov 14:05 UTC",
      "November 2026",
      "Nov 26",
      "2026-11-03",
    ]);
  });
});
