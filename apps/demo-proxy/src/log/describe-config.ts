import { formatAddress } from "../config/address.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { describeStore } from "../counting/open-store.ts";
import { describeCounter } from "../counting/opened-counter.ts";
import { shownUrl } from "./shown-url.ts";

/**
 * The configuration in force, for the log. It names what it shows, so that whatever is added to the configuration one day is
 * left out until somebody has decided that it is no secret.
 */
export function describeConfig(config: ProxyConfig): object {
  const {
    listen,
    admin,
    counter,
    store,
    flush,
    routing,
    timeouts,
    heads,
    shutdown,
    trustedProxies,
    cors,
    log,
    backends,
  } = config;
  return {
    listen: formatAddress(listen),
    admin: {
      listen: formatAddress(admin.listen),
      token: admin.token !== undefined,
      ...(admin.urls && { urls: admin.urls }),
    },
    counter: describeCounter(counter),
    ...(counter.kind === "redis" && {
      prefix: counter.prefix,
      ...(counter.enforcement && { enforcement: counter.enforcement }),
      ...(counter.forgiveAfterMs !== undefined && { forgiveAfterMs: counter.forgiveAfterMs }),
    }),
    store: describeStore(store),
    flush,
    routing,
    timeouts,
    heads,
    shutdown,
    trustedProxies,
    ...(cors && { cors }),
    log,
    backends: backends.map(({ name, url, host, limits }) => ({
      name,
      url: shownUrl(url),
      ...(host && { host }),
      limits,
    })),
  };
}

/** The same in a few words. */
export function summarizeConfig({ counter, store, flush, backends }: ProxyConfig): string {
  const parts = [
    backends.length === 1 ? "1 backend" : `${backends.length} backends`,
    `counter ${describeCounter(counter)}`,
    `store ${describeStore(store)}, flushed every ${flush.intervalMs} ms`,
  ];
  return parts.join("; ");
}
