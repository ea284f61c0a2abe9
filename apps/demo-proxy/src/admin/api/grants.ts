import type { StorageDimension, StoredGrant, Usage } from "@usage/counter-core";
import { jsonPieces } from "../json-pieces.ts";
import { type Answer, badRequest, okBytes } from "../problem.ts";
import { isBackendName, isPeriodKey } from "../query-filters.ts";
import type { RouteRequest } from "../routes.ts";
import { grantBody, troubleOf } from "./grant-body.ts";
import { isKnownBackend } from "./known-backend.ts";
import { type GrantTold, makeGrant } from "./make-grant.ts";
import { noSuch } from "./setting-change.ts";
import { type CountedParts, uncounted } from "./uncounted.ts";
import type { ApiParts } from "./usage-report.ts";
import { withStore } from "./with-store.ts";

export type GrantParts = GrantTold & CountedParts & Pick<ApiParts, "router" | "tracker" | "store" | "turns">;

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

/** Answers `GET /api/grants`: those of one period, the current one unless told, as the store has them. */
export async function listGrants(parts: GrantParts, { query }: RouteRequest): Promise<Answer> {
  const { tracker, store, turns } = parts;
  const backend = query.get("backend") || undefined;
  const { key } = tracker.counter.period();
  const period = query.get("period") || key;
  if (!isPeriodKey(period)) return badRequest("period is one, such as 2026-01.");
  if (period.slice(0, key.length) > key) return badRequest(`period is in the future; ${key} is the latest there is.`);
  if (backend !== undefined && !isBackendName(backend)) return badRequest("No backend can have this name.");
  return withStore(async () => {
    const grants = (await store.grants?.({ period, ...(backend && { backend }) })) ?? [];
    if (backend !== undefined && grants.length === 0 && !(await isKnownBackend(parts, backend)))
      return noSuch("backend");
    return okBytes(await turns.encode(jsonPieces({ period }, "grants", grants.toReversed().map(grantReport))));
  });
}

function grantReport({ backend, id, amounts, reason, by, createdAt }: StoredGrant): GrantReport {
  return { backend, id, amounts, reason, by: by ?? null, grantedAt: new Date(createdAt).toISOString() };
}

/** Raises the limits of a backend for what is left of the period: 201 once for each id, 200 when that was granted before. */
export async function grant(parts: GrantParts, { params, readJson }: RouteRequest): Promise<Answer> {
  const { tracker, router } = parts;
  const name = router.upstreams.find((upstream) => upstream.name === params.name)?.name;
  if (name === undefined) return noSuch("backend");
  const body = await readJson();
  if ("refusal" in body) return body.refusal;
  const { data, error } = grantBody.safeParse(body.value);
  if (error !== undefined) return badRequest(`Nothing was granted. ${troubleOf(error)}`);
  const troubles = uncounted(parts, name, Object.keys(data.amounts));
  if (troubles.length > 0) return badRequest(`Nothing was granted. amounts.${troubles.join("; amounts.")}`);
  return makeGrant(parts, data, {
    subject: { kind: "backend", name },
    counted: tracker.counter.dimensions,
    period: tracker.counter.period().key,
    listedAt: "/api/grants?period=",
    grant: (amounts, options) => tracker.grant(name, amounts, options),
    answer: ({ id, period, amounts }): GrantAnswer => {
      const { limits, granted = {} } = tracker.check(name, {});
      return { name, period, id, amounts, granted, limits };
    },
  });
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
