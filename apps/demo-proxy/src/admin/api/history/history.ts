import type { UsageStore } from "@usage/counter-core";
import { jsonPieces } from "../../json-pieces.ts";
import { type Answer, badRequest, okBytes, refuse } from "../../problem.ts";
import { isBackendName, isPeriodKey, queryTrouble } from "../../query-filters.ts";
import type { RouteRequest } from "../../routes.ts";
import type { ApiParts } from "../api-parts.ts";
import { isKnownBackend } from "../known-backend.ts";
import { noSuch } from "../settings/setting-change.ts";
import { withStore } from "../with-store.ts";
import { type Span, spanAt, spanOf, type TimedStore } from "./steps.ts";
import { stepsJson } from "./steps-report.ts";

const MONTH_FILTERS = ["by", "backend", "from", "to"];
const STEP_FILTERS = ["by", "backend", "of"];

/** Answers `GET /api/history`: by month, by day of one month, or by hour of one day. */
export function history(parts: ApiParts, request: RouteRequest): Promise<Answer> | Answer {
  const { query } = request;
  const by = query.get("by") || "month";
  if (by === "month") return byMonth(parts, query);
  if (by === "day" || by === "hour") return bySteps(parts, query, by);
  return badRequest("by is month, day or hour.");
}

function byMonth(parts: ApiParts, query: URLSearchParams): Promise<Answer> | Answer {
  const { store, turns, tracker } = parts;
  const trouble = queryTrouble(query, MONTH_FILTERS);
  if (trouble !== undefined) return badRequest(trouble);
  const [backend, from, to] = ["backend", "from", "to"].map((name) => query.get(name) || undefined);
  for (const period of [from, to]) {
    if (period !== undefined && !isPeriodKey(period)) return badRequest("from and to are periods, such as 2026-01.");
  }
  if (from !== undefined && to !== undefined && from > to) return badRequest("from must not be after to.");
  const { key } = tracker.counter.period();
  if (from !== undefined && from.slice(0, key.length) > key) return notBegun("from", key);
  if (backend !== undefined && !isBackendName(backend)) return badRequest("No backend can have this name.");
  const filter = { ...(backend && { backend }), ...(from && { from }), ...(to && { to }) };
  return withStore(async () => {
    const found = await store.history(filter);
    if (backend !== undefined && found.length === 0 && !(await isKnownBackend(parts, backend)))
      return noSuch("backend");
    return okBytes(await turns.encode(jsonPieces({}, "history", found)));
  });
}

function notBegun(name: string, latest: string): Answer {
  return badRequest(`${name} is in the future; ${latest} is the latest there is.`);
}

function bySteps(parts: ApiParts, query: URLSearchParams, by: Span["by"]): Promise<Answer> | Answer {
  const trouble = queryTrouble(query, STEP_FILTERS);
  if (trouble !== undefined) return badRequest(trouble);
  const [backend, of] = ["backend", "of"].map((name) => query.get(name) || undefined);
  if (backend !== undefined && !isBackendName(backend)) return badRequest("No backend can have this name.");
  const span = of === undefined ? spanAt(by, parts.clock.now()) : spanOf(by, of);
  if (span === undefined) {
    return badRequest(by === "day" ? "of is a month, such as 2026-01." : "of is a day, such as 2026-01-31.");
  }
  const { store, turns, clock, router } = parts;
  const latest = spanAt(by, clock.now()).of;
  if (span.of.start > latest.start) return notBegun("of", latest.key);
  if (!isTimed(store)) return noTimeline();
  const names = router.upstreams.map(({ name }) => name);
  return withStore(async () => {
    if (backend !== undefined && !(await isKnownBackend(parts, backend))) return noSuch("backend");
    return okBytes(await stepsJson({ store, turns, clock, names }, span, backend));
  });
}

function isTimed(store: Pick<UsageStore, "dimensions" | "totals" | "timeline">): store is TimedStore {
  return store.timeline !== undefined;
}

function noTimeline(): Answer {
  return refuse({ status: 404, title: "No timeline", detail: "The store keeps no usage by day and hour." });
}
