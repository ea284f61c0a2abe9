import { expect, it } from "vitest";
import { runSoak } from "../../src/soak/run-soak.ts";

it("a short soak is exact for clients, upstreams, proxies and database", async () => {
  const result = await runSoak({
    durationMs: 4_000,
    requestsPerSecond: 100,
    sampleIntervalMs: 500,
    reloadIntervalMs: 1_500,
    signal: new AbortController().signal,
  });
  expect(result.problems).toEqual([]);
  const [clients, ...others] = [...result.accounts.values()];
  expect(others).toHaveLength(5);
  for (const usage of others) expect(usage).toEqual(clients);
  expect(Math.min(...Object.values({ ...clients }))).toBeGreaterThan(0);
  expect([result.left > 0, result.dashboards > 0, result.reloads]).toEqual([true, true, 2]);
  for (const samples of result.samples) {
    expect(samples).toHaveLength(8);
    for (const { rssBytes, heapBytes } of samples) expect(rssBytes).toBeGreaterThan(heapBytes);
  }
});
