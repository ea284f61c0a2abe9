import { assertBackendName, type Clock, type Period, type Usage, type UsageStore } from "@usage/counter-core";
import type { UsageFlusher, UsageTracker } from "@usage/tracker";
import type { ProxyConfig } from "../config.ts";
import type { LiveConfigStatus } from "../live/live-config.ts";
import type { Sharing } from "../open-counter.ts";
import type { Router } from "../proxy/route.ts";
import type { Upstream } from "../proxy/upstream.ts";
import { type Answer, badRequest, ok, refuse } from "./problem.ts";
import type { Route, RouteRequest } from "./routes.ts";

/** What operators look at and act on. */
export interface ApiParts {
  readonly config: Pick<ProxyConfig, "counter" | "store">;
  readonly router: Pick<Router, "upstreams">;
  readonly tracker: UsageTracker;
  readonly store: UsageStore;
  readonly flusher: Pick<UsageFlusher, "flush" | "status">;
  readonly clock: Clock;
  readonly live: () => LiveConfigStatus;
  /** The configuration in force, since parts of it may change while the proxy runs. */
  readonly inForce: () => Pick<ProxyConfig, "routing" | "flush" | "backends">;
  /** Absent when the counts stay in this process. */
  readonly sharing?: Sharing;
}

/** What `GET /api/usage` answers. Instants are ISO 8601, usages and limits by dimension, limits only where there are any. */
export interface UsageReport {
  readonly period: { readonly key: string; readonly start: string; readonly end: string };
  readonly counter: {
    readonly kind: string;
    /** Whether counts are being exchanged; a local counter has nobody to exchange them with, and is. */
    readonly healthy: boolean;
    /** When all counts were last exchanged, and how long ago that is; null where they never were. */
    readonly sharedAt: string | null;
    readonly sharedAgeMs: number | null;
    /** Why counts are not being exchanged. */
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
  };
  readonly backends: readonly BackendReport[];
}

export interface BackendReport {
  readonly name: string;
  readonly url: string;
  readonly draining: boolean;
  readonly reachable: boolean;
  /** Whether a plain GET would still be let through. */
  readonly withinLimits: boolean;
  readonly usage: Usage;
  /** What is not known to be stored; of all instances, as far as they have shared it. */
  readonly unflushed: Usage;
  /** What this instance has not shared; zero where counts are not shared. */
  readonly unpushed: Usage;
  readonly limits: Partial<Usage>;
}

export function apiRoutes(parts: ApiParts): readonly Route[] {
  return [
    { path: "/api/usage", methods: { GET: () => ok(usageReport(parts)) } },
    { path: "/api/history", methods: { GET: (request) => history(parts, request) } },
    { path: "/api/flush", methods: { POST: () => flush(parts) } },
    { path: "/api/backends/:name/drain", methods: { POST: (request) => drain(parts, request) } },
    { path: "/api/backends/:name/resume", methods: { POST: (request) => resume(parts, request) } },
  ];
}

export function usageReport(parts: ApiParts): UsageReport {
  const { config, router, tracker, flusher } = parts;
  const { lastError } = flusher.status();
  return {
    period: isoPeriod(tracker.backend.period()),
    counter: counterReport(parts),
    store: {
      kind: config.store.kind,
      lastFlush: lastFlush(flusher),
      lastError: lastError === undefined ? null : messageOf(lastError),
    },
    config: configReport(parts),
    backends: router.upstreams.map((upstream) => backendReport(parts, upstream)),
  };
}

function configReport({ live }: ApiParts): UsageReport["config"] {
  const { loadedAtMs, error = null, needRestart } = live();
  return { loadedAt: new Date(loadedAtMs).toISOString(), error, needRestart };
}

function counterReport({ config, clock, sharing }: ApiParts): UsageReport["counter"] {
  const atMs = sharing?.sharedAtMs();
  const healthy = sharing?.isHealthy() ?? true;
  return {
    kind: config.counter.kind,
    healthy,
    sharedAt: atMs === undefined ? null : new Date(atMs).toISOString(),
    sharedAgeMs: atMs === undefined ? null : Math.max(0, clock.now() - atMs),
    lastError: healthy ? null : messageOf(sharing?.events.lastError),
  };
}

function isoPeriod({ key, start, end }: Period): UsageReport["period"] {
  return { key, start: new Date(start).toISOString(), end: new Date(end).toISOString() };
}

function lastFlush(flusher: ApiParts["flusher"]): string | null {
  const { lastFlushMs } = flusher.status();
  return lastFlushMs === undefined ? null : new Date(lastFlushMs).toISOString();
}

const NOTHING: Usage = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };

function backendReport({ tracker, sharing }: ApiParts, upstream: Upstream): BackendReport {
  const { name, url, draining } = upstream;
  // The least that the proxy proposes for a GET: the request, and a response of unknown length.
  const { allowed, usage, limits } = tracker.check(name, { apiRequests: 1, egressBytes: 1 });
  const unflushed = tracker.backend.loadAll(name);
  return {
    name,
    url: url.href,
    draining,
    reachable: upstream.isReachable(),
    withinLimits: allowed,
    usage,
    unflushed,
    unpushed: sharing?.unpushedAll(name) ?? NOTHING,
    limits,
  };
}

const HISTORY_FILTERS = ["backend", "from", "to"];
const PERIOD_KEY = /^\d{4}-\d{2}(-\d{2})?$/;

async function history({ store }: ApiParts, { query }: RouteRequest): Promise<Answer> {
  for (const name of new Set(query.keys())) {
    if (!HISTORY_FILTERS.includes(name))
      return badRequest(`${JSON.stringify(name)} is unknown; known are ${HISTORY_FILTERS.join(", ")}.`);
    if (query.getAll(name).length > 1) return badRequest(`${name} can be given once.`);
  }
  const [backend, from, to] = HISTORY_FILTERS.map((name) => query.get(name) || undefined);
  for (const period of [from, to]) {
    if (period !== undefined && !PERIOD_KEY.test(period))
      return badRequest("from and to are periods, such as 2026-01.");
  }
  if (from !== undefined && to !== undefined && from > to) return badRequest("from must not be after to.");
  if (backend !== undefined && !isBackendName(backend)) return badRequest("No backend can have this name.");
  const filter = { ...(backend && { backend }), ...(from && { from }), ...(to && { to }) };
  return withStore(async () => ok({ history: await store.history(filter) }));
}

function isBackendName(name: string): boolean {
  try {
    assertBackendName(name);
    return true;
  } catch {
    return false;
  }
}

function flush({ flusher }: ApiParts): Promise<Answer> {
  return withStore(async () => {
    await flusher.flush();
    return ok({ lastFlush: lastFlush(flusher) });
  });
}

/** What the work answers, or 503 when the store fails. */
export async function withStore(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    return refuse({ status: 503, title: "The store failed", detail: messageOf(error) });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Draining never discards: no new requests, those that run end, and what is counted stays counted. */
function drain(parts: ApiParts, request: RouteRequest): Answer {
  return withUpstream(parts, request, (upstream) => setDraining(upstream, true));
}

function resume(parts: ApiParts, request: RouteRequest): Answer {
  return withUpstream(parts, request, (upstream) => {
    if (parts.inForce().backends.some(({ name }) => name === upstream.name)) return setDraining(upstream, false);
    const detail = "The backend is not in the configuration any more; add it there, and it resumes.";
    return refuse({ status: 409, title: "Conflict", detail });
  });
}

function setDraining(upstream: Upstream, draining: boolean): Answer {
  upstream.draining = draining;
  return ok({ name: upstream.name, draining, inFlight: upstream.inFlight });
}

function withUpstream({ router }: ApiParts, { params }: RouteRequest, act: (upstream: Upstream) => Answer): Answer {
  const upstream = router.upstreams.find(({ name }) => name === params.name);
  if (upstream !== undefined) return act(upstream);
  return refuse({ status: 404, title: "Not found", detail: "No backend has this name; GET /api/usage lists them." });
}
