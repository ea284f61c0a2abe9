import { randomUUID } from "node:crypto";
import { type RedisServer, startRedis } from "@usage/test-servers";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { launchBrowser } from "../support/browser.ts";
import { call } from "../support/call.ts";
import { card, openPage, textOf, untilLive } from "./watched-page.ts";

let browser: Browser;
let redis: RedisServer;
beforeAll(async () => {
  [browser, redis] = await Promise.all([launchBrowser(), startRedis()]);
});
afterAll(() => Promise.all([browser?.close(), redis?.stop()]));

it("the dashboard of counts that are shared tells how fresh they are, and what is not shared while Redis is away", async () => {
  const upstream = await startUpstream();
  const name = `oci-${randomUUID()}`;
  const config = testConfig([{ name, url: upstream.url, limits: { apiRequests: 1_000 } }], {
    counter: { kind: "redis", url: redis.url, prefix: `test-${randomUUID()}` },
  });
  const [one, other] = [await startApp(config), await startApp(config)];
  const { page } = await openPage(browser, one.admin);
  await untilLive(page);
  const counter = page.getByRole("group", { name: "Counter" });
  await expect
    .poll(() => textOf(counter), { timeout: 15_000 })
    .toMatch(/Redis\s+.*shared \d+\sms ago; everything is shared/);

  for (let n = 0; n < 4; n += 1) await call(other.proxy, "/objects/10");
  const { article, shows } = card(page, name);
  await shows("apiRequests", /4 of 1,000/);

  redis.pause();
  let paused = true;
  const resume = (): void => {
    if (paused) redis.resume();
    paused = false;
  };
  onTestFinished(resume);
  for (let n = 0; n < 3; n += 1) await call(one.proxy, "/objects/10");
  await shows("apiRequests", /7 of 1,000/);
  await expect
    .poll(() => textOf(article.locator(".card-note")), { timeout: 15_000 })
    .toContain("not yet shared: 3 requests");
  await expect
    .poll(() => textOf(counter), { timeout: 30_000 })
    .toMatch(/Counts are not being exchanged: \S.*\. Limits go by/);
  resume();
  await expect.poll(() => textOf(counter), { timeout: 30_000 }).toContain("everything is shared");
});
