import type { StorageDimension, Usage } from "@usage/counter-core";
import type { ClientAccount } from "../../clients/client-account.ts";
import type { ClientUsage } from "../../clients/client-usage.ts";
import { CLIENT_WINDOWS, type ClientWindow } from "../../clients/client-windows.ts";
import { mostUsed, partOf, type UsedPart } from "../../clients/used-part.ts";
import type { ClientLimits, PlanTerms } from "../../config/proxy-config.ts";
import { wholePlans } from "../../config/whole-plans.ts";
import { jsonPieces } from "../json-pieces.ts";
import { type Answer, badRequest, okBytes } from "../problem.ts";
import { pageOf } from "../query-filters.ts";
import type { RouteRequest } from "../routes.ts";
import type { Turns } from "../turns.ts";
import {
  type ClientSettingsReport,
  clientSettings,
  missingPlan,
  type PlanSettingsReport,
  planSettings,
  type SettingSources,
} from "./settings/setting-report.ts";
import { reachedOf } from "./thresholds.ts";
import { isoPeriod, type UsageReport } from "./usage/usage-report.ts";

export interface ClientParts extends SettingSources {
  readonly clientUsage: ClientUsage;
  readonly turns: Turns;
}

/** What `GET /api/clients` answers, worst first. Usages and limits are by dimension, limits only where there are any. */
export interface ClientsReport {
  /** How many are configured. */
  readonly total: number;
  /** How many of these match the search. */
  readonly matching: number;
  readonly offset: number;
  /** The windows in which anybody is counted, the longest first. */
  readonly windows: readonly ClientWindow[];
  /** Those in force. */
  readonly plans: Readonly<Record<string, ClientLimits & PlanTerms>>;
  readonly planSettings: Readonly<Record<string, PlanSettingsReport>>;
  readonly clients: readonly ClientReport[];
}

export interface ClientReport {
  readonly name: string;
  readonly plan: string | null;
  /** The one that it was given by API, where that is not in the file any more. */
  readonly missingPlan: string | null;
  readonly settings: ClientSettingsReport;
  /** Requests that its own limits refused, or cut, since this instance began. */
  readonly refused: number;
  /** Whether its own limits would let a plain GET through. */
  readonly withinLimits: boolean;
  /** The largest used part of any of its limits above 0, and where that is; all are null where it has none. */
  readonly usedPart: number | null;
  readonly window: ClientWindow | null;
  readonly dimension: string | null;
  readonly windows: { readonly [window in ClientWindow]?: ClientWindowReport };
}

export interface ClientWindowReport {
  readonly period: UsageReport["period"];
  readonly usage: Usage;
  /** What running requests may still use. */
  readonly held: Usage;
  /** With what was granted for this period. */
  readonly limits: Partial<Usage>;
  /** What of them that is. */
  readonly granted: Partial<Usage>;
  readonly usedPart: number | null;
  /** By dimension, in ascending order: the parts of its limits that are reached, of those that somebody is told of. */
  readonly reached: Readonly<Record<string, readonly number[]>>;
  readonly withinLimits: boolean;
  /** What is not known to be stored. */
  readonly unstored: Usage;
}

const DEFAULT_LIMIT = 50;

/** Answers `GET /api/clients`: one page of those whose name or plan has a text in it. */
export async function listClients(parts: ClientParts, { query }: RouteRequest): Promise<Answer> {
  const asked = pageOf(query, DEFAULT_LIMIT);
  if (typeof asked === "string") return badRequest(asked);
  const { limit, offset } = asked;
  const { clientUsage, inForce, turns } = parts;
  const search = (query.get("search") ?? "").toLowerCase();
  const { matching, worst } = await worstClients(parts, offset + limit, search);
  const head: Omit<ClientsReport, "clients"> = {
    total: clientUsage.size,
    matching,
    offset,
    windows: clientUsage.windows(),
    plans: Object.fromEntries(wholePlans(inForce())),
    planSettings: planSettings(parts),
  };
  return okBytes(await turns.encode(jsonPieces(head, "clients", reports(parts, worst.slice(offset)))));
}

/** How many have a text, in lower case, in their name or plan, and the first `count` of them, by the largest used part of a limit. */
export async function worstClients(
  { clientUsage, turns }: Pick<ClientParts, "clientUsage" | "turns">,
  count: number,
  search = "",
): Promise<{ readonly matching: number; readonly worst: readonly Found[] }> {
  const worst: Found[] = [];
  let matching = 0;
  const sortAndCut = (): unknown => worst.sort(worstFirst).splice(count);
  await turns.each(clientUsage.accounts(), (account) => {
    if (!matches(account, search)) return;
    matching += 1;
    worst.push({ account, most: mostUsed(clientUsage, account) });
    // Sorted with every so many that are added, since to sort all of many at once takes longer than a turn may.
    if (worst.length > 2 * count + 100) sortAndCut();
  });
  sortAndCut();
  return { matching, worst };
}

interface Found {
  readonly account: ClientAccount;
  readonly most: UsedPart | undefined;
}

function matches({ name, plan = "" }: ClientAccount, search: string): boolean {
  return search === "" || name.toLowerCase().includes(search) || plan.toLowerCase().includes(search);
}

function worstFirst(a: Found, b: Found): number {
  return (b.most?.part ?? -1) - (a.most?.part ?? -1) || b.account.refused - a.account.refused || order(a, b);
}

function order(a: Found, b: Found): number {
  return a.account.name < b.account.name ? -1 : 1;
}

function* reports(parts: ClientParts, found: readonly Found[]): Generator<ClientReport> {
  const { clientUsage } = parts;
  const settingsOf = clientSettings(parts, new Set(found.map(({ account }) => account.name)));
  for (const { account, most } of found) {
    const { name, plan = null, refused } = account;
    // Whoever has left the configuration meanwhile has nothing to be told of.
    if (clientUsage.accountOf(name) === undefined) continue;
    const { allowed, windows } = clientUsage.check(name, { apiRequests: 1, egressBytes: 1 });
    const byWindow = CLIENT_WINDOWS.filter((window) => windows[window] !== undefined).map((window) => {
      const { period, usage, held, limits, granted = {}, reason } = windows[window];
      const report: ClientWindowReport = {
        period: isoPeriod(period),
        usage,
        held,
        limits,
        granted,
        usedPart: partOf(usage, limits)?.part ?? null,
        reached: reachedIn(account.thresholds?.[window] ?? [], usage, limits),
        withinLimits: reason !== "limit",
        unstored: clientUsage.unstoredOf(name, window),
      };
      return [window, report] as const;
    });
    yield {
      name,
      plan,
      missingPlan: missingPlan(parts, name),
      settings: settingsOf(name),
      refused,
      withinLimits: allowed,
      usedPart: most?.part ?? null,
      window: most?.window ?? null,
      dimension: most?.dimension ?? null,
      windows: Object.fromEntries(byWindow),
    };
  }
}

function reachedIn(parts: readonly number[], usage: Usage, limits: Partial<Usage>): ClientWindowReport["reached"] {
  const all = (Object.entries(limits) as [StorageDimension, number][]).map(([dimension, limit]) => {
    return [dimension, reachedOf(parts, limit, usage[dimension])] as const;
  });
  return Object.fromEntries(all.filter(([, reached]) => reached.length > 0));
}
