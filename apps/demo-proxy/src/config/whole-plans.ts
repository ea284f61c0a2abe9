import type { ClientLimits, PlanTerms, ProxyConfig } from "./proxy-config.ts";

/** Plans with all that they say, by name. */
export function wholePlans({
  plans = new Map(),
  terms,
}: Pick<ProxyConfig, "plans" | "terms">): ReadonlyMap<string, ClientLimits & PlanTerms> {
  return new Map(Array.from(plans, ([name, limits]) => [name, { ...terms?.get(name), ...limits }]));
}
