import type { StorageDimension, StoredGrant, Usage } from "@usage/counter-core";
import { GrantConflictError } from "@usage/tracker";
import { messageOf } from "../../log/message-of.ts";
import { jsonPieces } from "../json-pieces.ts";
import { type Answer, badRequest, created, ok, okBytes, refuse } from "../problem.ts";
import { isBackendName, isPeriodKey, queryTrouble } from "../query-filters.ts";
import type { RouteRequest } from "../routes.ts";
import { type GrantBody, readGrantBody } from "./grant-body.ts";
import type { ApiParts } from "./usage-report.ts";
import { withStore } from "./with-store.ts";

export interface GrantParts extends Pick<ApiParts, "router" | "tracker" | "store" | "turns"> {
  /** Is told of each grant that is new. @default nobody is */
  readonly onGrant?: (grant: MadeGrant) => void;
}

/** What somebody has granted a backend for a period. */
export interface MadeGrant {
  readonly backend: string;
  readonly period: string;
  readonly id: string;
  readonly amounts: Partial<Usage>;
  readonly reason: string;
  readonly by?: string;
}

/** What `GET /api/grants` lists, the latest first. */
export interface GrantReport {
  readonly backend: string;
  readonly id: string;
  readonly amounts: Readonly<Record<string, number>>;
  readonly reason: string;
  /** Null: nobody says. */
  readonly by: string | null;
  /** ISO 8601, by the store's clock. */
  readonly grantedAt: string;
}

const FILTERS = ["backend", "period"];

/** Answers `GET /api/grants`: those of one period, the current one unless told, as the store has them. */
export async function listGrants({ tracker, store, turns }: GrantParts, { query }: RouteRequest): Promise<Answer> {
  const trouble = queryTrouble(query, FILTERS);
  if (trouble !== undefined) return badRequest(trouble);
  const backend = query.get("backend") || undefined;
  const period = query.get("period") || tracker.counter.period().key;
  if (!isPeriodKey(period)) return badRequest("period is one, such as 2026-01.");
  if (backend !== undefined && !isBackendName(backend)) return badRequest("No backend can have this name.");
  return withStore(async () => {
    const grants = (await store.grants?.({ period, ...(backend && { backend }) })) ?? [];
    return okBytes(await turns.encode(jsonPieces({ period }, "grants", grants.toReversed().map(grantReport))));
  });
}

function grantReport({ backend, id, amounts, reason, by, createdAt }: StoredGrant): GrantReport {
  return { backend, id, amounts, reason, by: by ?? null, grantedAt: new Date(createdAt).toISOString() };
}

/** Raises the limits of a backend for what is left of the period: 201 once for each id, 200 when that was granted before. */
export async function grant(parts: GrantParts, { params, readJson }: RouteRequest): Promise<Answer> {
  const name = parts.router.upstreams.find((upstream) => upstream.name === params.name)?.name;
  if (name === undefined) {
    return refuse({ status: 404, title: "Not found", detail: "No backend has this name; GET /api/usage lists them." });
  }
  const body = await readJson();
  if ("refusal" in body) return body.refusal;
  const read = readGrantBody(body.value);
  if ("trouble" in read) return badRequest(`Nothing was granted. ${read.trouble}`);
  const counted: readonly string[] = parts.tracker.counter.dimensions;
  const unknown = Object.keys(read.grant.amounts).filter((dimension) => !counted.includes(dimension));
  if (unknown.length > 0) {
    const troubles = unknown.map((name) => `amounts.${name}: unknown key; known here: ${counted.join(", ")}`);
    return badRequest(`Nothing was granted. ${troubles.join("; ")}`);
  }
  const { key } = parts.tracker.counter.period();
  const { period = key } = read.grant;
  // Who asks again after the period has changed would grant a second time otherwise.
  // fault: grants for another period than was asked for
  if (period !== key) {
    const where = `GET /api/grants?period=${encodeURIComponent(period)} lists what was granted for another one.`;
    return conflict(`The period is ${key}, and nothing was granted. ${where}`);
  }
  return store(parts, name, period, read.grant);
}

async function store(
  { tracker, onGrant }: GrantParts,
  backend: string,
  period: string,
  { id, amounts, reason, by }: GrantBody,
): Promise<Answer> {
  const options = { id, reason, period, ...(by !== undefined && { by }) };
  const given = Object.fromEntries(Object.entries(amounts).filter(([, amount]) => amount !== undefined));
  try {
    const isNew = await tracker.grant(backend, given, options);
    if (isNew) onGrant?.({ backend, amounts: given, ...options });
    const { limits, granted = {} } = tracker.check(backend, {});
    const body: GrantAnswer = { name: backend, period, id, amounts: given, granted, limits };
    // fault: says that each grant is new
    return isNew ? created(body) : ok(body);
  } catch (error) {
    if (error instanceof GrantConflictError) return conflict(`Nothing was granted: ${error.message}.`);
    const detail = `${messageOf(error)}. It may be granted all the same: send it again, under the same id.`;
    return refuse({ status: 503, title: "The store failed", detail });
  }
}

interface GrantAnswer {
  readonly name: string;
  readonly period: string;
  readonly id: string;
  readonly amounts: Partial<Usage>;
  /** What of the limits is granted by now, by this grant and others. */
  readonly granted: Partial<Record<StorageDimension, number>>;
  readonly limits: Partial<Record<StorageDimension, number>>;
}

function conflict(detail: string): Answer {
  return refuse({ status: 409, title: "Conflict", detail });
}
