import { REDIS_BOUNDS } from "../../counting/timed-redis.ts";
import type { ProxyServer } from "../../proxy/server.ts";
import type { DeliveryStatus } from "../../webhooks/delivery-status.ts";
import type { Webhooks } from "../../webhooks/webhooks.ts";
import type { ApiParts } from "../api/api-parts.ts";
import type { ClientParts } from "../api/clients.ts";
import { heldUpstreams } from "../api/usage/held-upstreams.ts";
import { backendReport, counterReport } from "../api/usage/usage-report.ts";
import { inOnePeriod } from "../in-one-period.ts";
import type { Route } from "../routes.ts";
import { BackendLabels } from "./backend-labels.ts";
import { BackendMetrics } from "./backend-metrics.ts";
import { writeClients } from "./client-metrics.ts";
import type { FlushDurations } from "./flush-durations.ts";
import type { ProcessMetrics } from "./process-metrics.ts";
import { histogramLabels, label, labelSet, MetricsText, type Sample, TEXT_FORMAT } from "./text-format.ts";

export interface MetricsParts extends ApiParts, Pick<ClientParts, "clientUsage"> {
  readonly flushes: FlushDurations;
  readonly proxy: Pick<ProxyServer, "connections" | "ownAnswers">;
  readonly processMetrics: ProcessMetrics;
  readonly webhooks: Pick<Webhooks, "status">;
}

/** What Prometheus scrapes. Everything is read when it is asked for. */
export function metricsRoutes(parts: MetricsParts): readonly Route[] {
  const headers = { "content-type": TEXT_FORMAT };
  const labels = new BackendLabels(parts.tracker.counter.dimensions);
  const answer = async () => ({ status: 200, headers, bytes: await metricsBytes(parts, labels) });
  return [{ path: "/metrics", methods: { GET: answer } }];
}

/** All numbers of one backend are of one moment, and all backends of one period; between two backends, requests may go on. */
function metricsBytes(parts: MetricsParts, labels: BackendLabels): Promise<readonly Uint8Array[]> {
  const { tracker, turns } = parts;
  return inOnePeriod(tracker.counter, async () => {
    const text = new MetricsText();
    const backends = new BackendMetrics(text, tracker.counter.dimensions, labels);
    await turns.each(heldUpstreams(parts), (upstream) => backends.add(backendReport(parts, upstream), upstream));
    await writeClients(text, parts);
    writePeriod(text, parts);
    writeProxy(text, parts);
    writeFlushes(text, parts);
    writeSharing(text, parts);
    writeWebhooks(text, parts);
    parts.processMetrics.write(text);
    return text.bytes();
  });
}

function writePeriod(text: MetricsText, { tracker }: MetricsParts): void {
  const { start, end } = tracker.counter.period();
  text.gauge({ name: "usage_period_start_timestamp_seconds", help: "Beginning of this period." }, start / 1_000);
  text.gauge({ name: "usage_period_end_timestamp_seconds", help: "End of this period." }, end / 1_000);
}

function writeProxy(text: MetricsText, { proxy: { connections, ownAnswers } }: MetricsParts): void {
  text.counter(
    { name: "usage_proxy_answers_total", help: "Answers of the proxy's own in place of a backend's, by status." },
    Array.from(ownAnswers, ([status, count]): Sample => [labelSet(label("code", String(status))), count]),
  );
  text.gauge({ name: "usage_proxy_connections", help: "Open connections of clients." }, connections);
}

function writeFlushes(text: MetricsText, { flusher, flushes, clock }: MetricsParts): void {
  const { lastFlushMs, failures } = flusher.status();
  text
    .histogram({
      name: "usage_flush_duration_seconds",
      help: "How long flushes to the store took, failed ones as well.",
    })
    .add(histogramLabels(flushes.bounds), flushes);
  text.counter({ name: "usage_flush_failures_total", help: "Flushes that failed; nothing is lost." }, flushes.failed);
  text.gauge({ name: "usage_flush_failing", help: "Flushes that failed since the last good one." }, failures);
  text.gauge(
    { name: "usage_flush_age_seconds", help: "Time since the last good flush; absent before it." },
    lastFlushMs === undefined ? [] : secondsSince(lastFlushMs, clock.now()),
  );
}

function writeWebhooks(text: MetricsText, { webhooks }: MetricsParts): void {
  const all = webhooks.status();
  if (all.length === 0) return;
  const samples = (read: (status: DeliveryStatus) => number) =>
    all.map(([{ name }, status]): Sample => [labelSet(label("webhook", name)), read(status)]);
  text.counter(
    { name: "usage_webhook_deliveries_total", help: "Thresholds that a webhook was told." },
    samples(({ delivered }) => delivered),
  );
  text.counter(
    { name: "usage_webhook_failures_total", help: "Attempts to tell a webhook that failed; they are repeated." },
    samples(({ failed }) => failed),
  );
  text.gauge(
    { name: "usage_webhook_failing", help: "Attempts to tell a webhook that failed since the last good one." },
    samples(({ failures }) => failures),
  );
}

function secondsSince(thenMs: number, nowMs: number): number {
  return Math.max(0, nowMs - thenMs) / 1_000;
}

function writeSharing(text: MetricsText, parts: MetricsParts): void {
  if (parts.sharing === undefined) return;
  const { events, durations } = parts.sharing;
  const { healthy, sharedAgeMs } = counterReport(parts);
  text.gauge({ name: "usage_redis_healthy", help: "Whether counts are exchanged with Redis." }, Number(healthy));
  text.gauge(
    { name: "usage_redis_shared_age_seconds", help: "Time since all counts were last exchanged." },
    sharedAgeMs === null ? [] : sharedAgeMs / 1_000,
  );
  text.counter({ name: "usage_redis_outages_total", help: "How often Redis was given up on." }, events.away);
  text.counter(
    { name: "usage_redis_lost_total", help: "Backends whose shared counts were lost and are made whole again." },
    events.lost,
  );
  text.counter(
    { name: "usage_redis_refused_total", help: "How often shared counts could not be used." },
    events.refused,
  );
  text.counter(
    {
      name: "usage_redis_failed_total",
      help: "How often something else that needs Redis began to fail: dead instances' counts could not be looked for, say.",
    },
    events.failed,
  );
  text
    .histogram({
      name: "usage_redis_command_duration_seconds",
      help: "How long commands took, failed ones as well; most are pushes.",
    })
    .add(histogramLabels(REDIS_BOUNDS), durations);
}
