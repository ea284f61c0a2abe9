import { once } from "node:events";
import { createServer } from "node:http";
import Database from "better-sqlite3";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { UsageReport } from "../../src/admin/api/usage/usage-report.ts";
import { compose } from "../../src/compose.ts";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { refusingPort } from "../proxy/node-upstream.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { launchBrowser } from "../support/browser.ts";
import { call } from "../support/call.ts";
import { card, openPage, textOf, untilLive } from "./watched-page.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

const HOSTILE = `<img src=x onerror="document.title='broken'"> ü`;

async function start(changes: Partial<ProxyConfig> = {}) {
  const [first, second] = [await startUpstream(), await startUpstream()];
  const backends = [
    { name: "oci", url: first.url, limits: { apiRequests: 20, egressBytes: 10 * 1024 * 1024 } },
    { name: HOSTILE, url: second.url, limits: {} },
  ];
  const config = testConfig(backends, changes);
  const file = config.store.kind === "sqlite" ? config.store.file : "";
  return { ...(await startApp(config)), config, file };
}

async function startUpstreamAt(port: number): Promise<void> {
  const server = createServer((_, response) => response.end("fine")).listen(port, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
}

describe("the dashboard", () => {
  it("shows the numbers of the API and of SQLite, and asks nobody else for anything", async () => {
    const { app, proxy, admin, file } = await start();
    for (let n = 0; n < 5; n += 1) await call(proxy, "/objects/104857");
    await app.flusher.flush();
    const { page, complaints, hosts } = await openPage(browser, admin);
    await untilLive(page);
    const usage = (await call(admin, "/api/usage")).json as UsageReport;
    const database = new Database(file, { readonly: true });
    const stored = database.prepare("select dimension, amount from usage_totals order by dimension").all();
    database.close();
    expect(stored).toEqual([
      { dimension: "apiRequests", amount: 5 },
      { dimension: "egressBytes", amount: 524_285 },
    ]);
    expect(usage.backends[0]?.usage).toEqual({ apiRequests: 5, egressBytes: 524_285, ingressBytes: 0 });
    const { article, shows } = card(page, "oci");
    await shows("apiRequests", /5 of 20\s+25 %/);
    await shows("egressBytes", /512 KiB of 10 MiB\s+4 %/);
    await shows("ingressBytes", /0 B\s+no limit/);
    const meter = article.getByRole("meter", { name: "Requests of oci" });
    expect(await meter.getAttribute("aria-valuenow")).toBe("5");
    expect(await meter.getAttribute("aria-valuemax")).toBe("20");
    await expect.poll(() => textOf(page.locator("#audit-summary"))).toContain("All 6 numbers are the same");
    expect([...hosts]).toEqual([`127.0.0.1:${admin.port}`]);
    expect(complaints).toEqual([]);
  });

  it("moves with the traffic, and tells what is not stored until it is", async () => {
    const { proxy, admin } = await start();
    const { page, complaints } = await openPage(browser, admin);
    await untilLive(page);
    expect(await textOf(page.locator("#empty"))).toContain(`curl -i http://127.0.0.1:${proxy.port}/`);
    const { article, shows, hasState } = card(page, "oci");
    await shows("apiRequests", /0 of 20/);
    await hasState("ready");
    for (let n = 0; n < 7; n += 1) await call(proxy, "/objects/100");
    await shows("apiRequests", /7 of 20\s+35 %/);
    await hasState("active");
    expect(await page.locator("#empty").isVisible()).toBe(false);
    expect(await textOf(article.locator(".card-note"))).toContain("not yet stored: 7 requests, 700 B out");
    expect(await textOf(article.locator(".rates"))).toMatch(/Requests\s+\d/);
    expect(await textOf(article.locator("[data-dimension=apiRequests]"))).toContain(
      "Too little was seen to project it",
    );
    await expect.poll(() => textOf(page.locator("#audit")), { timeout: 15_000 }).toContain("Waits for the next flush");
    await page.getByRole("button", { name: "Flush now" }).click();
    await expect.poll(() => textOf(page.locator("#audit"))).toBe("");
    await expect.poll(() => textOf(article.locator(".card-note"))).not.toContain("not yet stored");
    expect(complaints).toEqual([]);
  });

  it("shows what was granted as part of the limit, why, and takes it from there without a reload", async () => {
    const { app, proxy, admin } = await start();
    for (let n = 0; n < 21; n += 1) await call(proxy, "/objects/1");
    const { page, complaints } = await openPage(browser, admin);
    await untilLive(page);
    const { shows, hasState, article } = card(page, "oci");
    await hasState("exhausted");
    await shows("apiRequests", /20 of 20\s+100 %/);
    expect(await textOf(article)).not.toContain("granted");
    expect(await page.locator("#grants-section").isVisible()).toBe(false);
    const grant = (name: string, body: object) => {
      const path = `/api/backends/${encodeURIComponent(name)}/grants`;
      return call(admin, path, { method: "POST", body: JSON.stringify(body) });
    };
    const amounts = { apiRequests: 5_000, egressBytes: "10 MiB" };
    await grant("oci", { id: "ticket-4711", amounts, reason: HOSTILE, by: "ada@example.com" });
    await hasState("active");
    await shows("apiRequests", /20 of 5,020\s+< 1 %\s+Includes 5,000 granted/);
    await shows("egressBytes", /of 20 MiB\s+< 1 %\s+Includes 10 MiB granted/);
    expect(await article.getByRole("meter", { name: "Requests of oci" }).getAttribute("aria-valuetext")).toBe(
      "20 of 5,020, < 1 %, includes 5,000 granted",
    );
    const grants = page.getByRole("region", { name: "What was granted, and why" });
    await expect.poll(() => textOf(grants), { timeout: 15_000 }).toContain("5,000 requests, 10 MiB out");
    const line = await textOf(grants.getByRole("row").nth(1));
    for (const part of ["oci", HOSTILE, "ada@example.com", "ticket-4711", "UTC"]) expect(line).toContain(part);
    // Another one, of somebody else, stands before it.
    await app.tracker.grant("oci", { apiRequests: 1 }, { id: "2", reason: "second" });
    await expect.poll(() => textOf(grants.getByRole("row").nth(1)), { timeout: 15_000 }).toContain("second");
    expect(await textOf(page.locator("#grants-summary"))).toContain("2 grants for ");
    expect(complaints).toEqual([]);
  });

  it("shows a limit of 0 as closed, and no number that is none", async () => {
    const upstream = await startUpstream();
    const { proxy, admin } = await startApp(
      testConfig([
        { name: "shut", url: upstream.url, limits: { apiRequests: 0, egressBytes: 0 } },
        { name: "reads", url: upstream.url, limits: { ingressBytes: 0 } },
      ]),
    );
    const { page, complaints } = await openPage(browser, admin);
    await untilLive(page);
    expect((await call(proxy, "/objects/104857")).status).toBe(200);
    const shut = card(page, "shut");
    await shut.hasState("exhausted");
    expect(await textOf(shut.article.locator(".pill"))).toBe("Closed: requests, egress");
    await shut.shows("apiRequests", /0 of 0\s+nothing allowed\s+The limit is 0: nothing may be used\./);
    await shut.shows("egressBytes", /0 of 0 B\s+nothing allowed/);
    await shut.shows("ingressBytes", /0 B\s+no limit/);
    const meter = shut.article.getByRole("meter", { name: "Requests of shut" });
    expect([await meter.getAttribute("aria-valuenow"), await meter.getAttribute("aria-valuemax")]).toEqual(["1", "1"]);
    const reads = card(page, "reads");
    await reads.shows("ingressBytes", /nothing allowed/);
    await expect.poll(() => textOf(page.locator("#backends-summary"))).toBe("1 of 2 take requests");
    expect(await page.content()).not.toMatch(/NaN|Infinity|undefined/);
    const { backends } = (await call(admin, "/api/usage")).json as UsageReport;
    expect(backends.map(({ limits, withinLimits }) => [limits, withinLimits])).toEqual([
      [{ apiRequests: 0, egressBytes: 0 }, false],
      [{ ingressBytes: 0 }, true],
    ]);
    const { text } = await call(admin, "/metrics");
    expect(text).toContain('usage_limit_api_requests{backend="shut"} 0');
    expect(text).not.toContain('usage_limit_api_requests{backend="reads"}');
    expect(complaints).toEqual([]);
  });

  it("marks a backend that is exhausted in words, and not by colour alone", async () => {
    const { proxy, admin } = await start();
    const { page } = await openPage(browser, admin);
    await untilLive(page);
    for (let n = 0; n < 21; n += 1) await call(proxy, "/objects/1");
    const { article, shows, hasState } = card(page, "oci");
    await hasState("exhausted");
    await shows("apiRequests", /20 of 20\s+100 %\s+Limit reached\. It opens again 1\s/);
    expect(await textOf(article)).toContain("Exhausted: requests");
    await expect.poll(() => textOf(page.locator("#backends-summary"))).toBe("1 of 2 take requests");
  });

  it("tells why a backend cannot be used, what to do, and nothing of it once it answers", async () => {
    const port = await refusingPort();
    const backends = [{ name: "oci", url: new URL(`http://127.0.0.1:${port}/`), limits: {} }];
    const { proxy, admin } = await start({ backends });
    const { page, complaints } = await openPage(browser, admin);
    await untilLive(page);
    expect((await call(proxy, "/x")).status).toBe(502);
    const { article, hasState } = card(page, "oci");
    await hasState("unreachable");
    expect(await textOf(article)).toMatch(
      /Unreachable: it refuses connections; is it running.*\? ECONNREFUSED, for \d/,
    );
    // Once its pause is over, it is ready, and nobody knows better than what was seen last.
    await hasState("ready");
    expect(await textOf(article)).toContain("The last request failed: it refuses connections");
    await startUpstreamAt(port);
    expect((await call(proxy, "/x")).status).toBe(200);
    await expect.poll(() => textOf(article), { timeout: 15_000 }).not.toContain("ECONNREFUSED");
    expect(complaints).toEqual([]);
  });

  it("says that the proxy is away, and goes on by itself when it is back", async () => {
    const { app, admin, proxy, config } = await start();
    for (let n = 0; n < 3; n += 1) await call(proxy, "/objects/1");
    const { page } = await openPage(browser, admin);
    await untilLive(page);
    const { shows } = card(page, "oci");
    await shows("apiRequests", /3 of 20/);
    await app.stop({ graceMs: 0 });
    await expect.poll(() => textOf(page.getByRole("alert").first()), { timeout: 15_000 }).toContain("Trying again");
    expect(await textOf(page.locator("#connection"))).toBe("Not connected");
    // The last numbers stay to be seen.
    await shows("apiRequests", /3 of 20/);
    const again = await compose({ ...config, admin: { listen: admin }, listen: proxy });
    try {
      await again.start();
      await untilLive(page);
      for (let n = 0; n < 2; n += 1) await call(proxy, "/objects/1");
      await shows("apiRequests", /5 of 20/);
      expect(await page.locator("#notice").isVisible()).toBe(false);
    } finally {
      await again.stop({ graceMs: 0 });
    }
  });

  it("tells in words why the store fails, that nothing is lost, and when it works again", async () => {
    const { proxy, admin, file } = await start();
    await call(proxy, "/objects/1");
    const { page } = await openPage(browser, admin);
    await untilLive(page);
    const database = new Database(file);
    database.exec("alter table usage_tallies rename to away");
    await page.getByRole("button", { name: "Flush now" }).click();
    const store = page.getByRole("group", { name: "Store" });
    await expect
      .poll(() => textOf(store), { timeout: 15_000 })
      .toMatch(/The last flush failed: .*usage_tallies.*The counts are kept/s);
    await expect
      .poll(() => textOf(page.locator("#audit-summary")), { timeout: 15_000 })
      .toContain("Cannot be made now");
    database.exec("alter table away rename to usage_tallies");
    database.close();
    await page.getByRole("button", { name: "Flush now" }).click();
    await expect.poll(() => textOf(store), { timeout: 15_000 }).toContain("everything is stored");
  });

  it("asks for the token, says when it is wrong, and keeps the right one for this tab alone", async () => {
    const { admin } = await start({ admin: { listen: { host: "127.0.0.1", port: 0 }, token: "s3cret" } });
    const { page } = await openPage(browser, admin);
    const field = page.getByLabel("Token", { exact: true });
    await field.waitFor();
    expect(await page.content()).not.toContain("oci");
    expect(await page.evaluate("document.activeElement.id")).toBe("token");
    await field.fill("wrong");
    await field.press("Enter");
    await page.getByText("The proxy refuses this token").waitFor();
    await field.fill("s3cret");
    await page.getByRole("button", { name: "Show the dashboard" }).click();
    await untilLive(page);
    await card(page, "oci").shows("apiRequests", /0 of 20/);
    await page.reload();
    await untilLive(page);
    expect(await page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]")).toEqual([1, 0, ""]);
    expect(page.url()).not.toContain("s3cret");
    expect(await page.content()).not.toContain("s3cret");
  });

  it("shows names as they are, whatever they look like", async () => {
    const { admin } = await start();
    const { page, complaints } = await openPage(browser, admin);
    await untilLive(page);
    expect(await textOf(card(page, HOSTILE).article.locator("h3"))).toBe(HOSTILE);
    await page.getByRole("button", { name: `Drain ${HOSTILE}` }).click();
    expect(await textOf(page.getByRole("dialog").getByRole("heading"))).toBe(`Drain ${HOSTILE}?`);
    expect(await page.title()).toBe("Usage");
    expect(complaints).toEqual([]);
  });

  it("says of a backend that is gone from the file how it comes back, and draws a limit that was changed", async () => {
    const { app, admin, config } = await start();
    await app.store.merge([
      { writer: "import", period: app.tracker.counter.period().key, backend: "oci", usage: { apiRequests: 15 } },
    ]);
    await app.flusher.flush();
    const { page } = await openPage(browser, admin);
    await untilLive(page);
    const [oci] = config.backends;
    if (oci === undefined) throw new Error("there are two");
    const bar = page.getByRole("img", { name: "Requests of oci" }).locator("rect.current");
    const heightOf = async () => Number(await bar.getAttribute("height"));
    const before = await heightOf();
    await app.live.take(async () => ({ ...config, backends: [{ ...oci, limits: { apiRequests: 30 } }] }));
    const { article, hasState } = card(page, HOSTILE);
    await hasState("draining");
    expect(await textOf(article.locator(".pill"))).toBe("Removed");
    expect(await textOf(article.locator(".card-note"))).toContain("add it again, and it resumes");
    await card(page, "oci").shows("apiRequests", /15 of 30/);
    // The limit is the top of the chart.
    await expect.poll(heightOf).toBeCloseTo((before * 20) / 30);
  });

  it("has the backends in the order in which they are preferred, whatever the order was before", async () => {
    const { app, admin, config } = await start();
    const { page } = await openPage(browser, admin);
    await untilLive(page);
    const names = () => page.locator("#backends h3").allTextContents();
    expect(await names()).toEqual(["oci", HOSTILE]);
    const first = { name: "first", url: new URL("http://127.0.0.1:9"), limits: {} };
    await app.live.take(async () => ({ ...config, backends: [first, ...config.backends.toReversed()] }));
    await expect.poll(names, { timeout: 15_000 }).toEqual(["first", HOSTILE, "oci"]);
  });

  it("draws what was used in the months before, of backends that are gone, too", async () => {
    const { app, admin } = await start();
    const { key } = app.tracker.counter.period();
    const before = new Date(Date.parse(`${key}-01T00:00:00Z`) - 40 * 86_400_000).toISOString().slice(0, 7);
    const usage = { apiRequests: 12_345, egressBytes: 5 * 1024 ** 3 };
    await app.store.merge(["oci", "gone"].map((backend) => ({ writer: "import", period: before, backend, usage })));
    const { page } = await openPage(browser, admin);
    await untilLive(page);
    const history = page.locator("#history");
    await expect.poll(() => textOf(history)).toContain("gone (removed)");
    expect(await history.getByRole("img", { name: "Egress of oci" }).getAttribute("aria-label")).toContain("5 GiB");
    await history.getByText("In numbers").click();
    expect(await textOf(history.getByRole("row").filter({ hasText: "gone" }))).toMatch(/12\.3k\s+5 GiB\s+0 B/);
  });
});
