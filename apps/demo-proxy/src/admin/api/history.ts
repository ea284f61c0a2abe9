import { assertBackendName } from "@usage/counter-core";
import { jsonPieces } from "../json-pieces.ts";
import { type Answer, badRequest, okBytes } from "../problem.ts";
import type { RouteRequest } from "../routes.ts";
import type { ApiParts } from "./usage-report.ts";
import { withStore } from "./with-store.ts";

const HISTORY_FILTERS = ["backend", "from", "to"];
const PERIOD_KEY = /^\d{4}-\d{2}(-\d{2})?$/;

/** Answers `GET /api/history`. */
export async function history({ store, turns }: ApiParts, { query }: RouteRequest): Promise<Answer> {
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
  return withStore(async () => okBytes(await turns.encode(jsonPieces({}, "history", await store.history(filter)))));
}

function isBackendName(name: string): boolean {
  try {
    assertBackendName(name);
    return true;
  } catch {
    return false;
  }
}
