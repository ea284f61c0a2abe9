import { jsonPieces } from "../json-pieces.ts";
import { type Answer, badRequest, okBytes } from "../problem.ts";
import { isBackendName, isPeriodKey, queryTrouble } from "../query-filters.ts";
import type { RouteRequest } from "../routes.ts";
import type { ApiParts } from "./usage-report.ts";
import { withStore } from "./with-store.ts";

const HISTORY_FILTERS = ["backend", "from", "to"];

/** Answers `GET /api/history`. */
export async function history({ store, turns }: ApiParts, { query }: RouteRequest): Promise<Answer> {
  const trouble = queryTrouble(query, HISTORY_FILTERS);
  if (trouble !== undefined) return badRequest(trouble);
  const [backend, from, to] = HISTORY_FILTERS.map((name) => query.get(name) || undefined);
  for (const period of [from, to]) {
    if (period !== undefined && !isPeriodKey(period)) return badRequest("from and to are periods, such as 2026-01.");
  }
  if (from !== undefined && to !== undefined && from > to) return badRequest("from must not be after to.");
  if (backend !== undefined && !isBackendName(backend)) return badRequest("No backend can have this name.");
  const filter = { ...(backend && { backend }), ...(from && { from }), ...(to && { to }) };
  return withStore(async () => okBytes(await turns.encode(jsonPieces({}, "history", await store.history(filter)))));
}
