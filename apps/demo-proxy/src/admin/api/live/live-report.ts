import type { StorageDimension, Usage } from "@usage/counter-core";
import { formatAddress } from "../../../config/address.ts";
import type { ProxyConfig } from "../../../config/proxy-config.ts";
import { describeStore } from "../../../counting/open-store.ts";
import { describeCounter } from "../../../counting/opened-counter.ts";
import type { Upstream } from "../../../proxy/upstream/upstream.ts";
import type { Readiness } from "../../../readiness.ts";
import type { ApiParts } from "../api-parts.ts";
import { type BackendSettingsReport, changedSettings, type SettingSources } from "../settings/setting-report.ts";
import { heldUpstreams } from "../usage/held-upstreams.ts";
import { type BackendReport, backendReport, type UsageReport, usageHead } from "../usage/usage-report.ts";
import { type Projection, project } from "./projection.ts";
import type { UsageRates } from "./rates.ts";

export interface LiveParts extends ApiParts, Pick<SettingSources, "settings"> {
  readonly rates: UsageRates;
  /** When this run began. */
  readonly startedMs: number;
  readonly readiness: Pick<Readiness, "address">;
}

/** One event of `GET /api/events`: the usage report, how fast it changes, and where that leads. Instants are ISO 8601. */
export interface LiveReport extends Omit<UsageReport, "backends"> {
  /** When it was made, by the proxy's clock. */
  readonly at: string;
  readonly startedAt: string;
  readonly proxy: { readonly address: string; readonly routing: ProxyConfig["routing"] };
  /** The counter and the store by name and place, without passwords. */
  readonly places: { readonly counter: string; readonly store: string };
  readonly flushIntervalMs: number;
  /** Whether `backends` are all there are, in their order; where not, those that changed since the event before. */
  readonly whole: boolean;
  readonly backends: readonly LiveBackend[];
}

export interface LiveBackend extends BackendReport {
  /** Whether the configuration in force has it; one that was removed drains, and is shown until it is let go of. */
  readonly configured: boolean;
  /** The parts of its limits at which somebody is told, those of all where it has none of its own. */
  readonly thresholds: readonly number[];
  /** Of its settings those that were ever changed by API. */
  readonly changed: Partial<BackendSettingsReport>;
  readonly inFlight: number;
  /** Over the last seconds. */
  readonly perSecond: Usage;
  /** Over this period and this run, the last hour foremost. */
  readonly averagePerSecond: Usage;
  /**
   * What comes of the average; of a drained backend, of the growth that there still is, and of one that is used up, of none: it is on
   * its way to no limit.
   */
  readonly outlook: { readonly [dimension in StorageDimension]: Outlook };
}

export interface Outlook {
  /** What will be used at the end of the period, were nothing refused; null while too little was seen to say. */
  readonly atEnd: number | null;
  /** When the limit is reached; null when this period ends before that, without a limit, and where nothing is said. */
  readonly limitAt: string | null;
}

/** Fewer requests, or a shorter time, say nothing about a month. */
const [LEAST_REQUESTS, LEAST_MS] = [10, 60_000];

/** All of it but what depends on what a listener was told before. */
export function liveHead(parts: LiveParts): Omit<LiveReport, "whole" | "backends"> {
  const { config, inForce, clock, startedMs, readiness } = parts;
  const { routing, flush } = inForce();
  return {
    ...usageHead(parts),
    at: new Date(clock.now()).toISOString(),
    startedAt: new Date(startedMs).toISOString(),
    proxy: { address: formatAddress(readiness.address), routing },
    places: { counter: describeCounter(config.counter), store: describeStore(config.store) },
    flushIntervalMs: flush.intervalMs,
  };
}

/** To be made in turns: all numbers of one backend are of one moment. */
export function* liveBackends(parts: LiveParts): Generator<LiveBackend> {
  const { backends, thresholds } = parts.inForce();
  const configured = new Map(backends.map((backend) => [backend.name, backend.thresholds ?? thresholds]));
  const changed = changedSettings(parts);
  for (const upstream of heldUpstreams(parts)) {
    const { name } = upstream;
    const own = { configured: configured.has(name), thresholds: configured.get(name) ?? thresholds };
    yield { ...liveBackend(parts, upstream), ...own, changed: changed(name) };
  }
}

function liveBackend(parts: LiveParts, upstream: Upstream): Omit<LiveBackend, "configured" | "thresholds" | "changed"> {
  const { tracker, rates, clock } = parts;
  const backend = backendReport(parts, upstream);
  rates.readOne(backend.name);
  const { now, average, seenMs } = rates.of(backend.name);
  const ahead = backend.draining ? now : average;
  const isTelling = backend.usage.apiRequests >= LEAST_REQUESTS && seenMs >= LEAST_MS;
  const time = { nowMs: clock.now(), endMs: tracker.counter.period().end };
  const outlookOf = (dimension: StorageDimension): readonly [StorageDimension, Outlook] => {
    const [used, limit, perSecond] = [backend.usage[dimension], backend.limits[dimension], ahead[dimension]];
    // fault: promises when a limit is reached where nothing is on its way there
    if (!backend.withinLimits) return [dimension, { atEnd: used, limitAt: null }];
    if (!isTelling) return [dimension, { atEnd: null, limitAt: null }];
    return [dimension, isoOutlook(project({ used, limit, perSecond, ...time }))];
  };
  return {
    ...backend,
    inFlight: upstream.inFlight,
    perSecond: now,
    averagePerSecond: average,
    outlook: Object.fromEntries(tracker.counter.dimensions.map(outlookOf)) as LiveBackend["outlook"],
  };
}

function isoOutlook({ atEnd, limitAtMs }: Projection): Outlook {
  return { atEnd, limitAt: limitAtMs === undefined ? null : new Date(limitAtMs).toISOString() };
}
