import { jsonPieces } from "../../json-pieces.ts";
import { type Answer, badRequest, okBytes } from "../../problem.ts";
import { isBackendName, isPeriodKey } from "../../query-filters.ts";
import type { RouteRequest } from "../../routes.ts";
import type { ApiParts } from "../api-parts.ts";
import { isKnownBackend } from "../known-backend.ts";
import { noSuch } from "../settings/setting-change.ts";
import { type CountedParts, uncounted } from "../uncounted.ts";
import { withStore } from "../with-store.ts";
import { grantBody, troubleOf } from "./grant-body.ts";
import { grantReport } from "./grant-report.ts";
import { type GrantTold, makeGrant } from "./make-grant.ts";

export type GrantParts = GrantTold & CountedParts & Pick<ApiParts, "router" | "tracker" | "store" | "turns">;

/** Answers `GET /api/grants`: those of one period, the current one unless told, as the store has them, the latest first. */
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
    const reports = grants.toReversed().map((grant) => ({ backend: grant.backend, ...grantReport(grant) }));
    return okBytes(await turns.encode(jsonPieces({ period }, "grants", reports)));
  });
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
    standing: () => tracker.check(name, {}),
  });
}
