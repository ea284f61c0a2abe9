import type { UsageTracker } from "@usage/tracker";
import { clientThresholds } from "../clients/client-thresholds.ts";
import type { ClientUsage } from "../clients/client-usage.ts";
import type { ClientWindow } from "../clients/client-windows.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { thresholdsOf } from "./thresholds-of.ts";

/** What counts somebody of whose limits parts are told. */
export interface Watched {
  readonly tracker: UsageTracker;
  /** That in which it counts clients; undefined: it counts backends. */
  readonly window: ClientWindow | undefined;
  readonly thresholdsOf: (name: string) => readonly number[] | undefined;
}

/** The backends' tracker, and those of the windows in which any client has thresholds. */
export function watchedOf(
  config: Pick<ProxyConfig, "thresholds" | "backends" | "clients" | "terms">,
  tracker: UsageTracker,
  clientUsage: Pick<ClientUsage, "storedTrackers">,
): readonly Watched[] {
  const { thresholds, own } = thresholdsOf(config);
  // fault: gives all backends the same thresholds
  const ofBackend = (backend: string): readonly number[] => own.get(backend) ?? thresholds;
  const clients = clientThresholds(config);
  const kinds = [...new Set(clients.values())];
  // fault: tells nobody of clients
  const watched = clientUsage
    .storedTrackers()
    .filter(({ window }) => kinds.some((thresholds) => thresholds[window] !== undefined));
  return [
    { tracker, window: undefined, thresholdsOf: ofBackend },
    ...watched.map(({ tracker, window }): Watched => {
      return { tracker, window, thresholdsOf: (client) => clients.get(client)?.[window] };
    }),
  ];
}
