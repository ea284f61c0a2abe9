import type { PeriodScheme, Usage } from "@usage/counter-core";
import type { ClientLimits, ClientThresholds, ProxyConfig } from "../config/proxy-config.ts";
import { onlyCountedByWindow } from "../counting/only-counted.ts";
import type { Calendar, Calendars } from "./calendars.ts";
import { thresholdsOfClient } from "./client-thresholds.ts";
import { CLIENT_WINDOWS, type ClientWindow } from "./client-windows.ts";

/** What is known of one client, beside what it used. */
export interface ClientAccount {
  readonly name: string;
  plan: string | undefined;
  /** By window, those of its plan included. */
  limits: ClientLimits;
  /** Of which parts of them somebody is told. */
  thresholds: ClientThresholds | undefined;
  /** When its periods begin. */
  calendar: Calendar;
  /** Requests that run. */
  inFlight: number;
  /** Requests that its own limits refused, or cut, since this run began. */
  refused: number;
}

/**
 * The accounts of all clients that a configuration has, by name.
 *
 * @param dimensions what is counted. What else is limited is counted from the next start on.
 */
export function accountsOf(
  { clients = [], plans, terms }: Pick<ProxyConfig, "clients" | "plans" | "terms">,
  dimensions: readonly string[],
  calendars: Calendars,
): Map<string, ClientAccount> {
  const accounts = new Map<string, ClientAccount>();
  const counted = new Map(Array.from(plans ?? [], ([name, limits]) => [name, onlyCountedByWindow(dimensions, limits)]));
  for (const client of clients) {
    const { name, plan, limits: given, timeZone, anchorDay } = client;
    const own = given && onlyCountedByWindow(dimensions, given);
    const limits = joined(plan === undefined ? undefined : counted.get(plan), own);
    const ownCalendar = { ...(timeZone && { timeZone }), ...(anchorDay && { anchorDay }) };
    const calendar = calendars.of({ ...(plan !== undefined && terms?.get(plan)), ...ownCalendar });
    const thresholds = thresholdsOfClient(client, terms);
    accounts.set(name, { name, plan, limits, thresholds, calendar, inFlight: 0, refused: 0 });
  }
  return accounts;
}

const NONE: ClientLimits = {};

/** What a client says for itself takes the place of what its plan says of the same window and dimension. */
function joined(plan = NONE, own?: ClientLimits): ClientLimits {
  // Most clients have their plan's: all of them have one object.
  if (own === undefined) return plan;
  const all: { [window in ClientWindow]?: Partial<Usage> } = {};
  for (const window of CLIENT_WINDOWS) {
    if (plan[window] ?? own[window]) all[window] = { ...plan[window], ...own[window] };
  }
  return all;
}

/** How a client's periods of a window begin and end; undefined where it is not counted in it. */
export function schemeOf({ limits, calendar }: ClientAccount, window: ClientWindow): PeriodScheme | undefined {
  // All clients are counted by month.
  return window === "month" || limits[window] !== undefined ? calendar[window] : undefined;
}
