import type { ProxyParts } from "../../src/compose.ts";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { startApp, testConfig } from "./app.ts";

/** The configuration that a YAML file of these settings is, on free ports and with a store of its own. */
export function configured(yaml: string): ProxyConfig {
  const { backends, clients, plans, terms, counter, cors, trustedProxies, webhooks, thresholds } = parseConfig(yaml, {
    file: "test.yaml",
    folder: "/",
  });
  const optional = {
    ...(clients && { clients }),
    ...(plans && { plans }),
    ...(terms && { terms }),
    ...(cors && { cors }),
  };
  return testConfig(backends, { counter, trustedProxies, webhooks, thresholds, ...optional });
}

/** A proxy by the settings of a YAML file, and its origin. */
export async function startConfigured(yaml: string, parts?: ProxyParts) {
  const started = await startApp(configured(yaml), parts);
  return { ...started, origin: `http://127.0.0.1:${started.proxy.port}` };
}
