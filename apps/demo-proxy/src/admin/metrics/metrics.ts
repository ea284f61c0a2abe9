import { STORAGE_DIMENSIONS, type StorageDimension } from "@usage/counter-core";
import { REDIS_BOUNDS } from "../../counting/timed-redis.ts";
import type { ProxyServer } from "../../proxy/server.ts";
import type { Upstream } from "../../proxy/upstream.ts";
import { LATENCY_BOUNDS } from "../../proxy/upstream-traffic.ts";
import { type ApiParts, type BackendReport, type UsageReport, usageReport } from "../api/usage-report.ts";
import type { Route } from "../routes.ts";
import type { ProcessMetrics } from "./process-metrics.ts";
import { type Labels, MetricsText, type Sample, TEXT_FORMAT } from "./text-format.ts";
import { FLUSH_BOUNDS, type TimedFlusher } from "./timed-flusher.ts";

export interface MetricsParts extends ApiParts {
  readonly flusher: TimedFlusher;
  readonly proxy: Pick<ProxyServer, "connections" | "ownAnswers">;
  readonly processMetrics: ProcessMetrics;
}

/** What Prometheus scrapes. Everything is read when it is asked for. */
export function metricsRoutes(parts: MetricsParts): readonly Route[] {
  const answer = () => ({ status: 200, headers: { "content-type": TEXT_FORMAT }, text: metricsText(parts) });
  return [{ path: "/metrics", methods: { GET: answer } }];
}

export function metricsText(parts: MetricsParts): string {
  const text = new MetricsText();
  const report = usageReport(parts);
  writeUsage(text, report);
  writeBackends(text, report, parts.router.upstreams);
  writeTraffic(text, parts.router.upstreams, parts.proxy);
  writeFlushes(text, parts);
  writeSharing(text, report, parts);
  parts.processMetrics.write(text);
  return text.toString();
}

/** A unit of its own for each: amounts of different units are never in one metric, where a sum would make no sense. */
const UNITS: Readonly<Record<StorageDimension, { readonly name: string; readonly what: string }>> = {
  apiRequests: { name: "api_requests", what: "requests" },
  egressBytes: { name: "egress_bytes", what: "bytes that come out of the backend" },
  ingressBytes: { name: "ingress_bytes", what: "bytes that go into the backend" },
};

function writeUsage(text: MetricsText, { period, backends }: UsageReport): void {
  for (const dimension of STORAGE_DIMENSIONS) {
    const { name, what } = UNITS[dimension];
    const each = (amount: (backend: BackendReport) => number | undefined): Sample[] =>
      backends.flatMap((backend): Sample[] => {
        const value = amount(backend);
        return value === undefined ? [] : [[{ backend: backend.name }, value]];
      });
    const used = `Usage of this period in ${what}, of all instances as far as known`;
    text.gauge(
      { name: `usage_${name}`, help: `${used}.` },
      each(({ usage }) => usage[dimension]),
    );
    text.gauge(
      { name: `usage_limit_${name}`, help: `Limit of a period in ${what}; absent where there is none.` },
      each(({ limits }) => limits[dimension]),
    );
    text.gauge(
      { name: `usage_unflushed_${name}`, help: `${used}; what is not known to be stored.` },
      each(({ unflushed }) => unflushed[dimension]),
    );
    text.gauge(
      { name: `usage_unpushed_${name}`, help: `Usage of this period in ${what} that this instance has not shared.` },
      each(({ unpushed }) => unpushed[dimension]),
    );
  }
  const instants = { start: "Beginning", end: "End" } as const;
  for (const [part, word] of Object.entries(instants) as [keyof typeof instants, string][]) {
    const family = { name: `usage_period_${part}_timestamp_seconds`, help: `${word} of this period.` };
    text.gauge(family, Date.parse(period[part]) / 1_000);
  }
}

function writeBackends(text: MetricsText, { backends }: UsageReport, upstreams: readonly Upstream[]): void {
  const flags = [
    ["within_limits", "Whether a plain GET would still be let through.", ({ withinLimits }) => withinLimits],
    ["reachable", "Whether it gets requests, if only to see whether it answers again.", ({ reachable }) => reachable],
    ["draining", "Whether it gets no new requests.", ({ draining }) => draining],
  ] as const satisfies readonly (readonly [string, string, (backend: BackendReport) => boolean])[];
  for (const [name, help, flag] of flags) {
    text.gauge(
      { name: `usage_backend_${name}`, help },
      backends.map((backend): Sample => [{ backend: backend.name }, Number(flag(backend))]),
    );
  }
  text.gauge(
    {
      name: "usage_backend_trouble",
      help: "1 while it is passed over or being tried again, with the code of what failed.",
    },
    backends.flatMap(({ name, trouble }): Sample[] =>
      trouble === null ? [] : [[{ backend: name, code: trouble.code }, 1]],
    ),
  );
  text.gauge(
    { name: "usage_backend_in_flight_requests", help: "Requests that were given to it and are not over." },
    upstreams.map((upstream): Sample => [labelsOf(upstream), upstream.inFlight]),
  );
}

function writeTraffic(
  text: MetricsText,
  upstreams: readonly Upstream[],
  { connections, ownAnswers }: MetricsParts["proxy"],
): void {
  text.counter(
    { name: "usage_backend_responses_total", help: "Heads of final responses, by the class of their status." },
    upstreams.flatMap((upstream) =>
      // Classes that every backend has begin at zero, so that the first of them is seen as growth.
      Array.from(upstream.traffic.responses, (count, digit): readonly Sample[] => {
        return digit < 2 && count === 0 ? [] : [[{ ...labelsOf(upstream), status: statusClass(digit) }, count]];
      }).flat(),
    ),
  );
  text.counter(
    { name: "usage_backend_failures_total", help: "Requests that it could not be connected to for, or broke off." },
    upstreams.flatMap((upstream): Sample[] => [
      [{ ...labelsOf(upstream), reason: "unconnected" }, upstream.traffic.unconnected],
      [{ ...labelsOf(upstream), reason: "broken" }, upstream.traffic.broken],
    ]),
  );
  text.counter(
    {
      name: "usage_rejections_total",
      help: "Requests that passed a backend by, by the dimension whose limit was in the way.",
    },
    upstreams.flatMap((upstream) =>
      STORAGE_DIMENSIONS.map((dimension, d): Sample => {
        return [{ ...labelsOf(upstream), dimension }, upstream.traffic.rejections[d] ?? 0];
      }),
    ),
  );
  text.counter(
    {
      name: "usage_reservation_rejections_total",
      help: "Of the rejections, those by what was only reserved: the limit was not used up.",
    },
    upstreams.flatMap((upstream) =>
      STORAGE_DIMENSIONS.map((dimension, d): Sample => {
        return [{ ...labelsOf(upstream), dimension }, upstream.traffic.reservationRejections[d] ?? 0];
      }),
    ),
  );
  text.histogram(
    { name: "usage_backend_latency_seconds", help: "Time from the choice of a backend to the head of its response." },
    LATENCY_BOUNDS,
    upstreams.map((upstream) => [labelsOf(upstream), upstream.traffic.latency] as const),
  );
  text.counter(
    { name: "usage_proxy_answers_total", help: "Answers of the proxy's own in place of a backend's, by status." },
    Array.from(ownAnswers, ([status, count]): Sample => [{ code: String(status) }, count]),
  );
  text.gauge({ name: "usage_proxy_connections", help: "Open connections of clients." }, connections);
}

function statusClass(digit: number): string {
  return digit === 0 ? "other" : `${digit}xx`;
}

function labelsOf({ name }: Upstream): Labels {
  return { backend: name };
}

function writeFlushes(text: MetricsText, { flusher, clock }: MetricsParts): void {
  const { lastFlushMs, failures } = flusher.status();
  text.histogram(
    { name: "usage_flush_duration_seconds", help: "How long flushes to the store took, failed ones as well." },
    FLUSH_BOUNDS,
    [[{}, flusher.durations]],
  );
  text.counter({ name: "usage_flush_failures_total", help: "Flushes that failed; nothing is lost." }, flusher.failed);
  text.gauge({ name: "usage_flush_failing", help: "Flushes that failed since the last good one." }, failures);
  const age = lastFlushMs === undefined ? [] : [[{}, secondsSince(lastFlushMs, clock.now())] as const];
  text.gauge({ name: "usage_flush_age_seconds", help: "Time since the last good flush; absent before it." }, age);
}

function secondsSince(thenMs: number, nowMs: number): number {
  return Math.max(0, nowMs - thenMs) / 1_000;
}

function writeSharing(text: MetricsText, { counter }: UsageReport, { sharing }: MetricsParts): void {
  if (sharing === undefined) return;
  const { events, durations } = sharing;
  const { healthy, sharedAgeMs } = counter;
  text.gauge({ name: "usage_redis_healthy", help: "Whether counts are exchanged with Redis." }, Number(healthy));
  const age = sharedAgeMs === null ? [] : [[{}, sharedAgeMs / 1_000] as const];
  text.gauge({ name: "usage_redis_shared_age_seconds", help: "Time since all counts were last exchanged." }, age);
  text.counter({ name: "usage_redis_outages_total", help: "How often Redis was given up on." }, events.away);
  text.counter(
    { name: "usage_redis_lost_total", help: "Backends whose shared counts were lost and are made whole again." },
    events.lost,
  );
  text.counter(
    { name: "usage_redis_refused_total", help: "How often shared counts could not be used." },
    events.refused,
  );
  text.histogram(
    {
      name: "usage_redis_command_duration_seconds",
      help: "How long commands took, failed ones as well; most are pushes.",
    },
    REDIS_BOUNDS,
    [[{}, durations]],
  );
}
