import type { UsageTracker } from "@usage/tracker";
import type { ClientUsage } from "../../../clients/client-usage.ts";
import { CLIENT_WINDOWS, type ClientWindow, PASSING_WINDOWS } from "../../../clients/client-windows.ts";
import { jsonPieces } from "../../json-pieces.ts";
import { type Answer, badRequest, okBytes } from "../../problem.ts";
import { isWindowPeriodKey } from "../../query-filters.ts";
import type { RouteRequest } from "../../routes.ts";
import type { Turns } from "../../turns.ts";
import { noSuch } from "../settings/setting-change.ts";
import { withStore } from "../with-store.ts";
import { clientGrantBody, troubleOf } from "./grant-body.ts";
import { grantReport } from "./grant-report.ts";
import { type GrantTold, makeGrant } from "./make-grant.ts";

export interface ClientGrantParts extends GrantTold {
  readonly clientUsage: ClientUsage;
  readonly tracker: Pick<UsageTracker, "counter">;
  readonly turns: Turns;
}

/** Answers `GET /api/clients/:name/grants`: all of a client, or those of a period, as the store has them, the latest first. */
export async function listClientGrants(
  { clientUsage, turns }: ClientGrantParts,
  { params: { name = "" }, query }: RouteRequest,
): Promise<Answer> {
  const { usage } = clientUsage;
  if (usage === undefined || clientUsage.accountOf(name) === undefined) return noSuch("client");
  const period = query.get("period") || undefined;
  if (period !== undefined && !isWindowPeriodKey(period)) {
    return badRequest("period is one, such as 2026-01, week:2026-W05 or day:2026-01-31.");
  }
  const latest = period && clientUsage.check(name, {}).windows[windowOf(period)]?.period.key;
  if (latest && period.slice(0, latest.length) > latest) {
    return badRequest(`period is in the future; ${latest} is the latest there is.`);
  }
  return withStore(async () => {
    const grants = (await usage.store.grants?.({ backend: name, ...(period && { period }) })) ?? [];
    const reports = grants.toReversed().map((grant) => ({ period: grant.period, ...grantReport(grant) }));
    return okBytes(await turns.encode(jsonPieces({ client: name }, "grants", reports)));
  });
}

/** Raises the limits of a client for what is left of a period of one of its windows, as those of backends are raised. */
export async function grantToClient(
  parts: ClientGrantParts,
  { params: { name = "" }, readJson }: RouteRequest,
): Promise<Answer> {
  const { clientUsage, tracker } = parts;
  if (clientUsage.accountOf(name) === undefined) return noSuch("client");
  const body = await readJson();
  if ("refusal" in body) return body.refusal;
  const { data, error } = clientGrantBody.safeParse(body.value);
  if (error !== undefined) return badRequest(`Nothing was granted. ${troubleOf(error)}`);
  const { usage } = clientUsage;
  // It may have left while the body came.
  if (usage === undefined || clientUsage.accountOf(name) === undefined) return noSuch("client");
  const { window = "month", ...grant } = data;
  const check = () => clientUsage.check(name, {}).windows;
  const now = check()[window];
  const isStored = !PASSING_WINDOWS.includes(window);
  // fault: grants in a window that is not stored
  if (now === undefined || !isStored) return badRequest(`Nothing was granted. window: ${windowTrouble(name, check())}`);
  return makeGrant(parts, grant, {
    subject: { kind: "client", name },
    window,
    counted: tracker.counter.dimensions,
    period: now.period.key,
    listedAt: `/api/clients/${encodeURIComponent(name)}/grants?period=`,
    grant: (amounts, options) => usage.grant(name, amounts, { ...options, window }),
    standing: () => check()[window] ?? now,
  });
}

/** The window of which this is the key of a period. */
function windowOf(period: string): ClientWindow {
  return CLIENT_WINDOWS.find((window) => period.startsWith(`${window}:`)) ?? "month";
}

function windowTrouble(name: string, windows: { readonly [window in ClientWindow]?: unknown }): string {
  const possible = CLIENT_WINDOWS.filter(
    (window) => windows[window] !== undefined && !PASSING_WINDOWS.includes(window),
  );
  return `${JSON.stringify(name)} can be granted more by ${possible.join(", ")}; it is counted in no other window that is stored`;
}
