import type { Clock } from "@usage/counter-core";
import type { BackendConfig, ProxyConfig } from "../config/proxy-config.ts";
import { credentialsOf } from "../credentials/backend-credentials.ts";
import { Upstream } from "../proxy/upstream/upstream.ts";
import type { UpstreamTraffic } from "../proxy/upstream/upstream-traffic.ts";
import type { Settings } from "./settings.ts";

/** What is the same for all upstreams from the start to the end. */
export interface UpstreamTerms extends Pick<ProxyConfig, "timeouts" | "heads"> {
  /** How many dimensions are counted. */
  readonly dimensions: number;
  readonly settings: Pick<Settings, "isDrained">;
  readonly clock: Clock;
}

/**
 * The upstreams of a configuration. Those that were there before keep their connections, unless their address has changed; what is
 * gone from the configuration is among them, drains, and is shown until it is let go of.
 *
 * @param current those of the configuration before; empty at the start.
 */
export function configuredUpstreams(
  backends: readonly BackendConfig[],
  current: readonly Upstream[],
  terms: UpstreamTerms,
): readonly Upstream[] {
  const removed = new Map(current.map((upstream) => [upstream.name, upstream]));
  const configured = backends.map((backend) => {
    const known = removed.get(backend.name);
    removed.delete(backend.name);
    const upstream = known && isAt(known, backend) ? known : made(backend, terms, known?.traffic);
    if (known && known !== upstream) {
      // Ends its connections once the running requests have ended, and WebSockets once their grace is over.
      // fault: leaves WebSockets open where a backend was before
      known.draining = true;
      void known.close();
    }
    upstream.credentials = credentialsOf(backend, terms.clock);
    upstream.tokens = backend.tokens;
    // One that an operator drains goes on draining; one that was only removed resumes.
    upstream.draining = terms.settings.isDrained(backend.name);
    return upstream;
  });
  for (const upstream of removed.values()) {
    upstream.draining = true;
    upstream.health.forget();
  }
  return [...configured, ...removed.values()];
}

/** Whether its connections lead where the backend is. */
function isAt(upstream: Upstream, { url, host = "upstream", ca }: BackendConfig): boolean {
  return upstream.url.href === url.href && upstream.host === host && upstream.ca === ca?.pem;
}

function made({ name, url, host, ca }: BackendConfig, terms: UpstreamTerms, traffic?: UpstreamTraffic): Upstream {
  const { timeouts, heads, clock, dimensions } = terms;
  const own = { ...(host && { host }), ...(ca && { ca: ca.pem }), ...(traffic && { traffic }) };
  return new Upstream({ name, url, timeouts, heads, clock, dimensions, ...own });
}
