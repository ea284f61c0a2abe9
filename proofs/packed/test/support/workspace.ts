import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parse } from "yaml";

const { resolve } = createRequire(import.meta.url);

export const ROOT: string = fileURLToPath(new URL("../../../..", import.meta.url));

/** The packages that are published, by their folders. */
export const PUBLISHED = ["counter-core", "tracker", "store-drizzle", "counter-redis"] as const;

/** The Node releases that the packages are for: the first of the oldest one, and the others as they are now. */
export const NODES: readonly string[] = [
  resolve("node22/bin/node"),
  resolve("node/bin/node"),
  resolve("node26/bin/node"),
];

/** Those that the proxy is for: it and undici need more than the packages do. */
export const PROXY_NODES: readonly string[] = NODES.slice(1);

/** A script, for the Node that runs this one. */
export const TSC: string = fileURLToPath(new URL("../bin/tsc", pathToFileURL(resolve("typescript"))));

const { catalog } = parse(readFileSync(new URL("../../../../pnpm-workspace.yaml", import.meta.url), "utf8"));

/** The version of a package of others that this workspace is tested with. */
export function catalogVersion(name: string): string {
  const version = catalog[name];
  if (typeof version !== "string") throw new Error(`${name} is not in the catalog of pnpm-workspace.yaml`);
  return version;
}
