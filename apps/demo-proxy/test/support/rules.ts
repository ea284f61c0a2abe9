import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { compose } from "../../src/compose.ts";
import type { ProxyConfig } from "../../src/config/proxy-config.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import type { ProxyApp } from "../../src/proxy-app.ts";

export interface NamedUpstream {
  readonly url: URL;
  /** The targets that it was asked for. */
  readonly asked: string[];
}

type Answer = (request: IncomingMessage, response: ServerResponse, name: string) => void;

/** Upstreams that answer with their names, for all tests of a file. */
export async function startNamedUpstreams(...names: readonly string[]): Promise<ReadonlyMap<string, NamedUpstream>> {
  const started = names.map(async (name) => {
    const asked: string[] = [];
    const url = await startUpstreamOf((request, response) => {
      asked.push(request.url ?? "");
      request.resume().on("end", () => response.end(name));
    });
    return [name, { url, asked }] as const;
  });
  return new Map(await Promise.all(started));
}

/** An upstream for all tests of a file. */
export async function startUpstreamOf(answer: Answer, name = ""): Promise<URL> {
  const server = createServer((request, response) => answer(request, response, name));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterAll(() => void server.close().closeAllConnections());
  const address = server.address();
  return new URL(`http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`);
}

/** A configuration by its text, on free ports and a fresh SQLite file that flushes only when told. */
export function lastingConfig(text: string): ProxyConfig {
  const folder = mkdtempSync(join(tmpdir(), "usage-proxy-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const anywhere = "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\nflush: { intervalMs: 3600000 }\n";
  return parseConfig(anywhere + text, { file: "test.yaml", folder });
}

/** A proxy for all tests of a file. */
export async function startLasting(config: ProxyConfig): Promise<{ app: ProxyApp; origin: string; admin: string }> {
  const app = await compose(config);
  const { proxy, admin } = await app.start();
  afterAll(async () => void (await app.stop({ graceMs: 0 })));
  return { app, origin: `http://127.0.0.1:${proxy.port}`, admin: `http://127.0.0.1:${admin.port}` };
}
