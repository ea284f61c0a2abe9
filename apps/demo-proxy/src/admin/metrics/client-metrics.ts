import type { StorageDimension } from "@usage/counter-core";
import { CLIENT_WINDOWS } from "../../clients/client-windows.ts";
import { type ClientParts, worstClients } from "../api/clients.ts";
import { label, labelSet, type MetricsText } from "./text-format.ts";

/** Each has a series for every window and dimension: of more clients, those are measured that used most of a limit. */
const MOST_CLIENTS = 100;

/** What clients used and may use, of the worst of them; nothing where there are none. */
export async function writeClients(
  text: MetricsText,
  parts: Pick<ClientParts, "clientUsage" | "turns">,
): Promise<void> {
  const { clientUsage, turns } = parts;
  const { matching: total, worst } = await worstClients(parts, MOST_CLIENTS);
  if (total === 0) return;
  text.gauge({ name: "usage_clients", help: "Clients that are configured." }, total);
  const of = `of the ${MOST_CLIENTS} clients that used the largest part of a limit`;
  const usage = text.gauge({ name: "usage_client_usage", help: `Usage of this period of a window, ${of}.` });
  const limit = text.gauge({ name: "usage_client_limit", help: `Limit of a period of a window, ${of}.` });
  const refused = text.counter({
    name: "usage_client_refused_total",
    help: `Requests that a client's own limits refused or cut, ${of}.`,
  });
  await turns.each(worst, ({ account: { name, limits, refused: count } }) => {
    // Whoever has left the configuration meanwhile has nothing to be told of.
    if (clientUsage.accountOf(name) === undefined) return;
    const client = label("client", name);
    refused.add(labelSet(client), count);
    for (const window of CLIENT_WINDOWS) {
      if (window !== "month" && limits[window] === undefined) continue;
      const amounts = Object.entries(clientUsage.totalOf(name, window));
      // With what was granted.
      const most = clientUsage.limitsOf(name, window);
      for (const [dimension, amount] of amounts) {
        const labels = labelSet(client, label("window", window), label("dimension", dimension));
        usage.add(labels, amount);
        const allowed = most[dimension as StorageDimension];
        if (allowed !== undefined) limit.add(labels, allowed);
      }
    }
  });
}
