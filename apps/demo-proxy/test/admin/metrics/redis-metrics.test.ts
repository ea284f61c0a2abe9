import { startRedis } from "@usage/test-servers";
import { expect, it, onTestFinished } from "vitest";
import type { UsageReport } from "../../../src/admin/api/usage/usage-report.ts";
import { startApp, startUpstream, testConfig } from "../../support/app.ts";
import { call } from "../../support/call.ts";
import { scrape } from "../../support/metrics.ts";
import { countsKey, SOON } from "../../support/shared-proxies.ts";

it("the health of Redis, what is not shared, and what was lost or refused are told as they happen", async () => {
  const [redis, upstream] = await Promise.all([startRedis(), startUpstream()]);
  onTestFinished(() => redis.stop());
  const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }], {
    counter: { kind: "redis", url: redis.url, prefix: "usage" },
  });
  const { proxy, admin } = await startApp(config);
  const value = async (name: string, labels = {}) => (await scrape(admin)).value(name, labels);
  const unpushed = () => value("usage_unpushed_egress_bytes", { backend: "oci" });
  const told = async () => {
    const metrics = await scrape(admin);
    return ["healthy", "outages_total", "lost_total", "refused_total"].map((name) =>
      metrics.value(`usage_redis_${name}`),
    );
  };
  await call(proxy, "/objects/10");
  await expect.poll(unpushed, SOON).toBe(0);
  expect(await told()).toEqual([1, 0, 0, 0]);
  expect(await value("usage_redis_shared_age_seconds")).toBeLessThan(20);
  const durations = await scrape(admin);
  const [count, sum] = ["count", "sum"].map((part) => durations.value(`usage_redis_command_duration_seconds_${part}`));
  expect(count).toBeGreaterThan(0);
  expect(sum).toBeGreaterThan(0);
  const counter = async () => ((await call(admin, "/api/usage")).json as UsageReport).counter;
  expect((await counter()).lastError).toBeNull();

  await redis.kill();
  await expect.poll(told, SOON).toEqual([0, 1, 0, 0]);
  await call(proxy, "/objects/30");
  expect(await unpushed()).toBe(30);
  await expect.poll(async () => (await counter()).lastError, SOON).toMatch(/ECONNREFUSED 127\.0\.0\.1:\d+/);
  const age = (await value("usage_redis_shared_age_seconds")) ?? Number.NaN;
  await expect.poll(() => value("usage_redis_shared_age_seconds"), SOON).toBeGreaterThan(age);

  await redis.start();
  await expect.poll(told, SOON).toEqual([1, 1, 1, 0]);
  await expect.poll(unpushed, SOON).toBe(0);
  expect((await counter()).lastError).toBeNull();

  await redis.command("SET", countsKey("usage", "oci"), "no hash");
  await call(proxy, "/objects/10");
  await expect.poll(async () => (await told())[3], SOON).toBeGreaterThan(0);
});
