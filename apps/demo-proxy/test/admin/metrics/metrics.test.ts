import { STORAGE_DIMENSIONS } from "@usage/counter-core";
import { promtoolFindings } from "@usage/test-servers";
import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import type { ProxyConfig } from "../../../src/config/proxy-config.ts";
import { startApp, startUpstream, testConfig } from "../../support/app.ts";
import { call } from "../../support/call.ts";
import { scrape } from "../../support/metrics.ts";

const UNITS = { apiRequests: "api_requests", egressBytes: "egress_bytes", ingressBytes: "ingress_bytes" } as const;
// What the text format could trip over: its own signs, and what looks like them. (A line break no name can have.)
const ODD = 'a "b"\\n{c="d"} \\ # é 😀,}';

async function start(changes: Partial<ProxyConfig> = {}) {
  const [first, second] = [await startUpstream(), await startUpstream()];
  const config = testConfig(
    [
      { name: ODD, url: first.url, limits: { apiRequests: 3, egressBytes: 1_000_000 } },
      { name: "b2", url: second.url, limits: { apiRequests: 2 } },
    ],
    changes,
  );
  return { ...(await startApp(config)), config, first, second };
}

describe("GET /metrics", () => {
  it("tells usage, limits and what is not stored as the counter, the API and the upstreams have them", async () => {
    const { app, proxy, admin, first, second } = await start();
    await call(proxy, "/objects/400");
    await app.flusher.flush();
    await call(proxy, "/", { method: "PUT", body: "x".repeat(100) });
    for (const size of [30, 20]) await call(proxy, `/objects/${size}`);
    const metrics = await scrape(admin);
    for (const [backend, upstream] of [
      [ODD, first],
      ["b2", second],
    ] as const) {
      const usage = app.tracker.counter.totalAll(backend);
      const unstored = app.tracker.counter.loadAll(backend);
      expect(usage).toEqual(upstream.measured());
      for (const dimension of STORAGE_DIMENSIONS) {
        const value = (what: string) => metrics.value(`usage_${what}${UNITS[dimension]}`, { backend });
        expect([value(""), value("unstored_"), value("unpushed_")]).toEqual([usage[dimension], unstored[dimension], 0]);
      }
    }
    expect(first.measured().apiRequests).toBe(3);
    expect(second.measured().apiRequests).toBe(1);
    expect(metrics.value("usage_unstored_api_requests", { backend: ODD })).toBe(2);
    expect(metrics.value("usage_limit_api_requests", { backend: ODD })).toBe(3);
    expect(metrics.value("usage_limit_ingress_bytes", { backend: ODD })).toBeUndefined();
    const { start: from, end } = app.tracker.counter.period();
    expect(metrics.value("usage_period_start_timestamp_seconds")).toBe(from / 1_000);
    expect(metrics.value("usage_period_end_timestamp_seconds")).toBe(end / 1_000);
  });

  it("counts answers, refusals and what was in the way, as clients saw them", async () => {
    const { proxy, admin, first, second } = await start();
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++) statuses.push((await call(proxy, "/objects/10")).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
    await call(proxy, "no-path");
    const metrics = await scrape(admin);
    const responses = (backend: string) =>
      metrics.value("usage_backend_responses_total", { backend, status: "2xx" }) ?? Number.NaN;
    expect([responses(ODD), responses("b2")]).toEqual([first.measured().apiRequests, second.measured().apiRequests]);
    expect(metrics.value("usage_backend_responses_total", { backend: ODD, status: "5xx" })).toBe(0);
    const rejections = (backend: string, dimension = "apiRequests") =>
      metrics.value("usage_rejections_total", { backend, dimension });
    // Two went on to the second backend, three were refused by both.
    expect([rejections(ODD), rejections("b2"), rejections(ODD, "egressBytes")]).toEqual([5, 3, 0]);
    expect(metrics.value("usage_proxy_answers_total", { code: "429" })).toBe(3);
    expect(metrics.value("usage_proxy_answers_total", { code: "400" })).toBe(1);
    for (const [backend, requests] of [
      [ODD, 3],
      ["b2", 2],
    ] as const) {
      expect(metrics.value("usage_backend_latency_seconds_count", { backend })).toBe(requests);
      expect(metrics.value("usage_backend_latency_seconds_bucket", { backend, le: "+Inf" })).toBe(requests);
      expect(metrics.value("usage_backend_latency_seconds_sum", { backend })).toBeGreaterThan(0);
      expect(metrics.value("usage_backend_within_limits", { backend })).toBe(0);
      expect(metrics.value("usage_backend_in_flight_requests", { backend })).toBe(0);
    }
  });

  it("tells which dimension was in the way, by the limits that are in force", async () => {
    const { app, proxy, admin, config } = await start();
    const [odd, b2] = config.backends;
    if (odd === undefined || b2 === undefined) throw new Error("there are two");
    await app.live.take(async () => ({
      ...config,
      backends: [{ ...odd, limits: { apiRequests: 1, ingressBytes: 50 } }, b2],
    }));
    expect((await call(proxy, "/", { method: "PUT", body: "x".repeat(60) })).status).toBe(200);
    const metrics = await scrape(admin);
    const rejections = STORAGE_DIMENSIONS.map((dimension) =>
      metrics.value("usage_rejections_total", { backend: ODD, dimension }),
    );
    expect(Object.fromEntries(STORAGE_DIMENSIONS.map((dimension, d) => [dimension, rejections[d]]))).toEqual({
      apiRequests: 0,
      egressBytes: 0,
      ingressBytes: 1,
    });
    expect(metrics.value("usage_limit_ingress_bytes", { backend: ODD })).toBe(50);
    // A request would just have filled this one.
    expect(metrics.value("usage_limit_api_requests", { backend: ODD })).toBe(1);
    expect(metrics.value("usage_limit_egress_bytes", { backend: ODD })).toBeUndefined();
  });

  it("tells a backend that is drained or cannot be reached, and keeps its counts at another address", async () => {
    const { app, proxy, admin, config, first, second } = await start();
    await call(proxy, "/objects/10");
    await call(admin, "/api/backends/b2/drain", { method: "POST" });
    await first.close();
    expect((await call(proxy, "/objects/10")).status).toBe(502);
    const before = await scrape(admin);
    expect(before.value("usage_backend_draining", { backend: "b2" })).toBe(1);
    expect(before.value("usage_backend_reachable", { backend: ODD })).toBe(0);
    expect(before.value("usage_backend_failures_total", { backend: ODD, reason: "unconnected" })).toBe(1);
    expect(before.value("usage_proxy_answers_total", { code: "502" })).toBe(1);
    const [odd, b2] = config.backends;
    if (odd === undefined || b2 === undefined) throw new Error("there are two");
    await app.live.take(async () => ({ ...config, backends: [{ ...odd, url: second.url }, b2] }));
    await call(proxy, "/objects/10");
    const after = await scrape(admin);
    expect(after.value("usage_backend_responses_total", { backend: ODD, status: "2xx" })).toBe(2);
    expect(after.value("usage_backend_failures_total", { backend: ODD, reason: "unconnected" })).toBe(1);
  });

  it("tells how long flushes took, which failed, and how old the last good one is", async () => {
    const { app, proxy, admin, config } = await start();
    await call(proxy, "/objects/10");
    expect((await scrape(admin)).value("usage_flush_age_seconds")).toBeUndefined();
    await app.flusher.flush();
    const database = new Database(config.store.kind === "sqlite" ? config.store.file : "");
    database.exec("alter table usage_tallies rename to away");
    for (const _ of [1, 2]) await app.flusher.flush().catch(() => {});
    const failing = await scrape(admin);
    expect(failing.value("usage_flush_failing")).toBe(2);
    database.exec("alter table away rename to usage_tallies");
    database.close();
    await app.flusher.flush();
    const metrics = await scrape(admin);
    expect(metrics.value("usage_flush_failing")).toBe(0);
    expect(metrics.value("usage_flush_failures_total")).toBe(2);
    expect(metrics.value("usage_flush_duration_seconds_count")).toBe(4);
    const age = metrics.value("usage_flush_age_seconds") ?? Number.NaN;
    expect(age).toBeGreaterThanOrEqual(0);
    expect(age).toBeLessThan(30);
  });

  it("counts the flushes of the schedule, too", async () => {
    const flush = { intervalMs: 20, nearLimitIntervalMs: 20, nearLimitRatio: 1, timeoutMs: 20_000 };
    const { admin } = await start({ flush });
    const flushes = async () => (await scrape(admin)).value("usage_flush_duration_seconds_count");
    await expect.poll(flushes, { timeout: 15_000 }).toBeGreaterThan(2);
  });

  it("is to the liking of Prometheus, odd names included", async () => {
    const { proxy, admin, app } = await start();
    for (let i = 0; i < 6; i++) await call(proxy, "/objects/10");
    await app.flusher.flush();
    const { text, names } = await scrape(admin);
    expect(await promtoolFindings(text)).toBe("");
    expect(await promtoolFindings(`${text}usage_x{backend="} 1\n`)).not.toBe("");
    const standard = ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_heap_size_used_bytes"];
    for (const name of standard) expect(names).toContain(name);
    // The event loop is measured at intervals.
    const delays = async () => (await scrape(admin)).value("nodejs_eventloop_lag_p99_seconds") ?? Number.NaN;
    await expect.poll(delays, { timeout: 15_000, interval: 100 }).toBeGreaterThanOrEqual(0);
  });

  it("demands the token where the API does", async () => {
    const { admin } = await start({ admin: { listen: { host: "0.0.0.0", port: 0 }, token: "s3cret" } });
    const address = { host: "127.0.0.1", port: admin.port };
    expect((await call(address, "/metrics")).status).toBe(401);
    const headers = { authorization: "Bearer s3cret" };
    expect((await call(address, "/metrics", { headers })).status).toBe(200);
  });
});
