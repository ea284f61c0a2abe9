import { STORAGE_DIMENSIONS } from "@usage/counter-core";
import type { BackendReport } from "../../../src/admin/api/usage/usage-report.ts";
import type { BackendLabels } from "../../../src/admin/metrics/backend-labels.ts";
import { BackendMetrics } from "../../../src/admin/metrics/backend-metrics.ts";
import { MetricsText } from "../../../src/admin/metrics/text-format.ts";
import type { Upstream } from "../../../src/proxy/upstream/upstream.ts";
import { UpstreamTraffic } from "../../../src/proxy/upstream/upstream-traffic.ts";

const NAMES = ['a "quoted" one', "back\\slash\\n", "line\nbreak\n", '{le="1"} # é 😀,}', ""];
const FLEET = NAMES.map((name, index) => {
  const traffic = new UpstreamTraffic();
  for (const status of [200, 204, 404, 503, ...(index === 0 ? [101, 999] : [])]) traffic.answered(status, status);
  traffic.rejections[1] = index;
  traffic.unconnected = 2;
  return { name, traffic };
});

/** What is told of backends of whose names the text format could make something else. */
export function pageOf(labels: BackendLabels): string {
  const text = new MetricsText();
  const metrics = new BackendMetrics(text, STORAGE_DIMENSIONS, labels);
  for (const [index, { name, traffic }] of FLEET.entries()) {
    const usage = { apiRequests: index, egressBytes: 2 ** 53 - 1, ingressBytes: 0 };
    const report: Partial<BackendReport> = {
      name,
      draining: index === 1,
      reachable: index !== 2,
      trouble: index === 2 ? { code: "ECONNREFUSED", reason: "refused", since: "" } : null,
      withinLimits: true,
      usage,
      problem: index === 3 ? "offline" : null,
      held: usage,
      excess: usage,
      unstored: usage,
      unpushed: usage,
      limits: index === 0 ? {} : { apiRequests: 0 },
      granted: {},
    };
    metrics.add(report as BackendReport, { name, inFlight: index, traffic } as Upstream);
  }
  return Buffer.concat(text.bytes()).toString();
}
