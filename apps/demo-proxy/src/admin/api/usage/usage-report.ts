import type { Period, Usage } from "@usage/counter-core";
import type { Enforcement } from "../../../config/proxy-config.ts";
import { amountsOf } from "../../../counting/amounts-of.ts";
import { usedUp } from "../../../counting/used-up.ts";
import { messageOf } from "../../../log/message-of.ts";
import { shownUrl } from "../../../log/shown-url.ts";
import type { Upstream } from "../../../proxy/upstream/upstream.ts";
import { jsonPieces } from "../../json-pieces.ts";
import type { ApiParts } from "../api-parts.ts";
import { type BackendSettingsReport, type SettingSources, settingReports } from "../settings/setting-report.ts";
import { heldUpstreams } from "./held-upstreams.ts";
import type { BackendRefusals, RefusalsReport } from "./refusals.ts";

/** What `GET /api/usage` answers. Instants are ISO 8601, usages and limits by dimension, limits only where there are any. */
export interface UsageReport {
  readonly period: { readonly key: string; readonly start: string; readonly end: string };
  readonly counter: {
    readonly kind: string;
    readonly enforcement: Enforcement;
    /** Whether counts are being exchanged; a local counter has nobody to exchange them with, and is. */
    readonly healthy: boolean;
    /** When all counts were last exchanged, and how long ago that is; null where they never were. */
    readonly sharedAt: string | null;
    readonly sharedAgeMs: number | null;
    /** Why counts are not being exchanged; while they are, what else Redis keeps from being done. */
    readonly lastError: string | null;
  };
  readonly store: { readonly kind: string; readonly lastFlush: string | null; readonly lastError: string | null };
  readonly config: {
    /** When the configuration in force was taken over. */
    readonly loadedAt: string;
    /** Why a later one was refused. */
    readonly error: string | null;
    /** Sections that were changed in the file and take effect at the next start. */
    readonly needRestart: readonly string[];
    /** What was changed by API and cannot be in force. */
    readonly complaints: readonly string[];
  };
  readonly refusals: RefusalsReport;
  readonly backends: readonly (BackendReport & { readonly settings: BackendSettingsReport })[];
}

export interface BackendReport extends BackendRefusals {
  readonly name: string;
  /** Without its path, which may be a secret. */
  readonly url: string;
  readonly draining: boolean;
  /** Whether it gets requests, if only to see whether it answers again. */
  readonly reachable: boolean;
  /** Why it is passed over or being tried again, and since when; null while it is well. */
  readonly trouble: { readonly code: string; readonly reason: string; readonly since: string } | null;
  /** Whether a plain GET would still be let through. */
  readonly withinLimits: boolean;
  readonly usage: Usage;
  /** Where limits are exact, why others cannot be asked for room: `unready` not yet, `offline` not now. Null while they can. */
  readonly problem: "unready" | "offline" | null;
  /**
   * What running requests may still use and, where limits are exact, what is granted to instances and not used: of all instances, also dead ones,
   * as far as it is known.
   */
  readonly held: Usage;
  /** What this instance counted beyond what was held for it: exact limits may be passed by as much. */
  readonly excess: Usage;
  /** Whether there is room beside what is used, but none now beside what is held: requests are told to try again in a second. */
  readonly delayedByReservations: boolean;
  /** What is not known to be stored; of all instances, as far as they have shared it. */
  readonly unstored: Usage;
  /** What this instance has not shared; zero where counts are not shared. */
  readonly unpushed: Usage;
  /** With what was granted for this period. */
  readonly limits: Partial<Usage>;
  /** What of the limits was granted for this period alone. */
  readonly granted: Partial<Usage>;
}

/** The JSON of a {@link UsageReport}, to be written in turns: all numbers of one backend are of one moment. */
export function usagePieces(parts: ApiParts & SettingSources): Generator<string> {
  return jsonPieces(usageHead(parts), "backends", backendReports(parts));
}

function* backendReports(parts: ApiParts & SettingSources): Generator<UsageReport["backends"][number]> {
  const settings = settingReports(parts);
  for (const upstream of heldUpstreams(parts)) {
    yield { ...backendReport(parts, upstream), settings: settings(upstream.name) };
  }
}

/** All of it but the backends. */
export function usageHead(parts: ApiParts): Omit<UsageReport, "backends"> {
  const { config, tracker, flusher } = parts;
  const { lastError } = flusher.status();
  return {
    period: isoPeriod(tracker.counter.period()),
    counter: counterReport(parts),
    store: {
      kind: config.store.kind,
      lastFlush: lastFlush(flusher),
      lastError: lastError === undefined ? null : messageOf(lastError),
    },
    config: configReport(parts),
    refusals: parts.refusals.report(),
  };
}

function configReport({ live }: ApiParts): UsageReport["config"] {
  const { loadedAtMs, error = null, needRestart, complaints } = live();
  return { loadedAt: new Date(loadedAtMs).toISOString(), error, needRestart, complaints };
}

export function counterReport({ config, clock, sharing }: ApiParts): UsageReport["counter"] {
  const atMs = sharing?.sharedAtMs();
  const healthy = sharing?.isHealthy() ?? true;
  const lastError = sharing?.lastError();
  return {
    kind: config.counter.kind,
    enforcement: config.counter.enforcement ?? "approximate",
    healthy,
    sharedAt: atMs === undefined ? null : new Date(atMs).toISOString(),
    sharedAgeMs: atMs === undefined ? null : Math.max(0, clock.now() - atMs),
    lastError: lastError === undefined ? null : messageOf(lastError),
  };
}

export function isoPeriod({ key, start, end }: Period): UsageReport["period"] {
  return { key, start: new Date(start).toISOString(), end: new Date(end).toISOString() };
}

export function lastFlush(flusher: ApiParts["flusher"]): string | null {
  const { lastFlushMs } = flusher.status();
  return lastFlushMs === undefined ? null : new Date(lastFlushMs).toISOString();
}

/** By the least that a request with a body proposes. */
function delayedByReservations({ tracker }: ApiParts, { name }: Upstream): boolean {
  const least = amountsOf(tracker.counter.dimensions, 1);
  const decision = tracker.check(name, least);
  return decision.exceeded.length > usedUp(decision, least).length;
}

function troubleReport({ trouble }: Upstream): BackendReport["trouble"] {
  if (trouble === undefined) return null;
  const { code, reason, sinceMs } = trouble;
  return { code, reason, since: new Date(sinceMs).toISOString() };
}

export function backendReport(parts: ApiParts, upstream: Upstream): BackendReport {
  const { tracker, sharing } = parts;
  const { name, url, draining } = upstream;
  // The least that the proxy proposes for a GET: the request, and a response of unknown length.
  const decision = tracker.check(name, { apiRequests: 1, egressBytes: 1 });
  const { reason, usage, held, limits } = decision;
  // fault: does not tell what was granted from the limit
  const granted = decision.granted ?? {};
  const { problem } = tracker.counter.standing(name);
  const unstored = tracker.counter.loadAll(name);
  return {
    name,
    url: shownUrl(url),
    draining,
    reachable: upstream.isReachable(),
    trouble: troubleReport(upstream),
    withinLimits: reason !== "limit",
    usage,
    problem: problem ?? null,
    held,
    excess: tracker.counter.excessAll(name),
    delayedByReservations: delayedByReservations(parts, upstream),
    unstored,
    unpushed: sharing?.unpushedAll(name) ?? amountsOf(tracker.counter.dimensions, 0),
    limits,
    granted,
    ...parts.refusals.of(upstream),
  };
}
