import { formatAddress } from "../config/address.ts";
import type { ProxyConfig, TlsConfig, WebhookConfig } from "../config/proxy-config.ts";
import { wholePlans } from "../config/whole-plans.ts";
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
    tls,
    admin,
    counter,
    store,
    flush,
    routing,
    timeouts,
    heads,
    shutdown,
    trustedProxies,
    clients,
    plans,
    cors,
    log,
    routes,
    dimensions,
    backends,
    thresholds,
    webhooks,
  } = config;
  return {
    listen: formatAddress(listen),
    ...(tls && { tls: shownTls(tls) }),
    admin: {
      listen: formatAddress(admin.listen),
      ...(admin.tls && { tls: shownTls(admin.tls) }),
      token: admin.token !== undefined,
      ...(admin.urls && { urls: admin.urls }),
    },
    counter: describeCounter(counter),
    ...(counter.kind === "redis" && {
      prefix: counter.prefix,
      ...(counter.enforcement && { enforcement: counter.enforcement }),
      ...(counter.forgiveAfterMs !== undefined && { forgiveAfterMs: counter.forgiveAfterMs }),
      ...(counter.ca && { ca: counter.ca.file }),
    }),
    store: describeStore(store),
    ...(store.kind === "postgres" && store.ca && { ca: store.ca.file }),
    flush,
    routing,
    timeouts,
    heads,
    shutdown,
    trustedProxies,
    ...(clients && { clients: clients.length }),
    ...(plans && { plans: Object.fromEntries(wholePlans(config)) }),
    ...(cors && { cors }),
    log,
    ...(routes && { routes }),
    ...(dimensions && { dimensions: Object.fromEntries(dimensions) }),
    backends: backends.map(({ name, url, host, ca, limits, thresholds, headers, auth, tokens }) => ({
      name,
      url: shownUrl(url),
      ...(host && { host }),
      ...(ca && { ca: ca.file }),
      limits,
      ...(thresholds && { thresholds }),
      ...(headers && { headers: { set: [...(headers.set?.keys() ?? [])], remove: headers.remove ?? [] } }),
      ...(auth && { auth: auth.kind }),
      ...(tokens && { tokens }),
    })),
    thresholds,
    webhooks: webhooks.map(shownWebhook),
  };
}

function shownTls({ cert, validToMs }: TlsConfig): object {
  return { cert: cert.file, validTo: new Date(validToMs).toISOString() };
}

/** A webhook as operators see it: of its headers their names, of its secret that there is one. */
export function shownWebhook({ name, url, headers, secret, format }: WebhookConfig): object {
  const names = Object.keys(headers);
  return {
    name,
    url: shownUrl(url),
    format,
    ...(names.length > 0 && { headers: names }),
    // fault: shows the secret of a webhook
    signed: secret !== undefined,
  };
}

/** The same in a few words. */
export function summarizeConfig({ counter, store, flush, backends, webhooks }: ProxyConfig): string {
  const parts = [
    backends.length === 1 ? "1 backend" : `${backends.length} backends`,
    `counter ${describeCounter(counter)}`,
    `store ${describeStore(store)}, flushed every ${flush.intervalMs} ms`,
    ...(webhooks.length > 0 ? [webhooks.length === 1 ? "1 webhook" : `${webhooks.length} webhooks`] : []),
  ];
  return parts.join("; ");
}
