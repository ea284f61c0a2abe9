import { startRedis } from "@usage/test-servers";
import { expect, onTestFinished } from "vitest";
import { startApp, startUpstream, testConfig } from "./app.ts";
import { call } from "./call.ts";
import { type Scrape, scrape } from "./metrics.ts";

/** A metric of the proxy's, in a text that asks for it. */
export const METRIC: RegExp = /\b(?:usage|process|nodejs)_\w+/g;

/** Of a proxy that has had something of everything. */
export async function busyProxy(): Promise<Scrape> {
  const [redis, upstream] = await Promise.all([startRedis(), startUpstream()]);
  onTestFinished(() => redis.stop());
  const limits = { apiRequests: 1, egressBytes: 9, ingressBytes: 9 };
  const config = testConfig([{ name: "oci", url: upstream.url, limits }], {
    counter: { kind: "redis", url: redis.url, prefix: "usage" },
    webhooks: [{ name: "ops", url: upstream.url, headers: {}, format: "json" }],
  });
  const { app, proxy, admin } = await startApp(config);
  for (const status of [200, 429]) expect((await call(proxy, "/objects/5")).status).toBe(status);
  await app.flusher.flush();
  let last = await scrape(admin);
  const names = async () => {
    last = await scrape(admin);
    return last.names;
  };
  // The event loop is measured at intervals.
  await expect.poll(names, { timeout: 15_000, interval: 100 }).toContain("nodejs_eventloop_lag_p99_seconds");
  return last;
}
