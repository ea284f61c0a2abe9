import type { ClientConfig, ClientThresholds, ProxyConfig } from "../config/proxy-config.ts";

/** Of which parts of a client's limits somebody is told; undefined: of none. */
export function thresholdsOfClient(
  { plan, thresholds }: Pick<ClientConfig, "plan" | "thresholds">,
  terms: ProxyConfig["terms"],
): ClientThresholds | undefined {
  const ofPlan = plan === undefined ? undefined : terms?.get(plan)?.thresholds;
  // Most clients have their plan's: all of them have one object.
  return thresholds && ofPlan ? { ...ofPlan, ...thresholds } : (thresholds ?? ofPlan);
}

/** Those of all clients that have any, by name. */
export function clientThresholds({
  clients = [],
  terms,
}: Pick<ProxyConfig, "clients" | "terms">): ReadonlyMap<string, ClientThresholds> {
  return new Map(
    clients.flatMap((client) => {
      const thresholds = thresholdsOfClient(client, terms);
      return thresholds === undefined ? [] : [[client.name, thresholds] as const];
    }),
  );
}
