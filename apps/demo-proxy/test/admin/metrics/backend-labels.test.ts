import { setImmediate } from "node:timers/promises";
import { STORAGE_DIMENSIONS } from "@usage/counter-core";
import { expect, it, onTestFinished, vi } from "vitest";
import { BackendLabels } from "../../../src/admin/metrics/backend-labels.ts";
import { UpstreamTraffic } from "../../../src/proxy/upstream/upstream-traffic.ts";
import { startApp, testConfig } from "../../support/app.ts";
import { scrape } from "../../support/metrics.ts";
import { pageOf } from "./odd-fleet.ts";

it("a page is byte for byte what it was before labels were kept, whatever backends are called", async () => {
  const labels = new BackendLabels(STORAGE_DIMENSIONS);
  const pages = [pageOf(labels), pageOf(labels)];
  // From the code before.
  await expect(pages[0]).toMatchFileSnapshot("odd-fleet.txt");
  expect(pages[1]).toBe(pages[0]);
});

it("labels are rendered once for a backend, and not kept for the next one of its name", () => {
  const labels = new BackendLabels(STORAGE_DIMENSIONS);
  const [traffic, later] = [new UpstreamTraffic(), new UpstreamTraffic()];
  const first = labels.of("oci", traffic);
  expect(labels.of("oci", traffic)).toBe(first);
  expect(labels.of("oci", later)).not.toBe(first);
  expect(labels.of("oci", later)).toEqual(first);
});

it("two scrapes at once of 1,000 backends are each whole and let everything else have its turns", async () => {
  const names = Array.from({ length: 1_000 }, (_, index) => `backend ${index}`);
  const backends = names.map((name) => ({ name, url: new URL("http://127.0.0.1:9"), limits: { apiRequests: 10 } }));
  const { admin } = await startApp(testConfig(backends));
  // Each look at it is a millisecond later, however fast the machine is: a turn may last four of them.
  let nowMs = performance.now();
  let others = 0;
  // Turns in which nobody writes a report are as many as the machine is slow.
  const turns = new Set<number>();
  const clock = vi.spyOn(performance, "now").mockImplementation(() => {
    turns.add(others);
    return ++nowMs;
  });
  onTestFinished(() => clock.mockRestore());
  let busy = true;
  const other = (async () => {
    for (; busy; others++) await setImmediate();
  })();
  const scrapes = await Promise.all([scrape(admin), scrape(admin)]);
  busy = false;
  await other;
  // Of 2,000 backends' reports; connections and answers themselves take some tens.
  expect(turns.size).toBeGreaterThan(300);
  for (const { value } of scrapes) {
    const limits = names.map((backend) => value("usage_limit_api_requests", { backend }));
    expect(limits).toEqual(names.map(() => 10));
  }
});
