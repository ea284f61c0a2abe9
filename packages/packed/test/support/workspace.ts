import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const { resolve } = createRequire(import.meta.url);

export const ROOT: string = fileURLToPath(new URL("../../../..", import.meta.url));
export const TSC: string = fileURLToPath(new URL("../../../../node_modules/.bin/tsc", import.meta.url));

/** The packages that are published, by their folders. */
export const PUBLISHED = ["counter-core", "tracker", "store-drizzle", "counter-redis"] as const;

/** The Node releases that the packages are for: the first of the oldest one, and the others as they are now. */
export const NODES: readonly string[] = ["node22", "node", "node26"].map((name) => resolve(`${name}/bin/node`));

const { catalog } = parse(readFileSync(new URL("../../../../pnpm-workspace.yaml", import.meta.url), "utf8"));

/** The version of a package of others that this workspace is tested with. */
export function catalogVersion(name: string): string {
  const version = catalog[name];
  if (typeof version !== "string") throw new Error(`${name} is not in the catalog of pnpm-workspace.yaml`);
  return version;
}
