import { join } from "node:path";
import { onTestFinished } from "vitest";
import { SampleUpstream } from "../../demo/sample-upstream.ts";
import { compose, type ProxyParts } from "../../src/compose.ts";
import type { BackendConfig, ProxyConfig } from "../../src/config/proxy-config.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import type { Addresses, ProxyApp } from "../../src/proxy-app.ts";
import { tempFolder } from "./temp-folder.ts";

/** A sample upstream for the length of a test. */
export async function startUpstream(): Promise<SampleUpstream> {
  const upstream = await SampleUpstream.start();
  onTestFinished(() => upstream.close());
  return upstream;
}

/** A configuration on free ports and a fresh SQLite file that flushes only when told. */
export function testConfig(backends: readonly BackendConfig[], changes: Partial<ProxyConfig> = {}): ProxyConfig {
  const defaults = parseConfig("backends: [{ name: x, url: 'http://x' }]", { file: "test.yaml", folder: "/" });
  const anywhere = { host: "127.0.0.1", port: 0 };
  return {
    ...defaults,
    listen: anywhere,
    admin: { listen: anywhere },
    store: { kind: "sqlite", file: join(tempFolder(), "usage.db") },
    flush: { intervalMs: 3_600_000, nearLimitIntervalMs: 3_600_000, nearLimitRatio: 1, timeoutMs: 20_000 },
    backends,
    ...changes,
  };
}

/** A running proxy, stopped after the test. */
export async function startApp(config: ProxyConfig, parts?: ProxyParts): Promise<{ app: ProxyApp } & Addresses> {
  const app = await compose(config, parts);
  onTestFinished(async () => {
    await app.stop({ graceMs: 0 });
  });
  return { app, ...(await app.start()) };
}
