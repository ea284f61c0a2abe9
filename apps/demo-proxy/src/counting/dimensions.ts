import { STORAGE_DIMENSIONS, type StorageDimension } from "@usage/counter-core";
import type { ProxyConfig } from "../config/proxy-config.ts";

/** What the model of a backend read and wrote, where the configuration says how its answers tell. */
export const TOKEN_DIMENSIONS = ["inputTokens", "outputTokens"] as const;

/** The names of the dimensions that a configuration adds to those of storage, in its order. */
function ownDimensions({ dimensions, backends }: Pick<ProxyConfig, "dimensions" | "backends">): readonly string[] {
  const hasTokens = backends.some(({ tokens }) => tokens !== undefined);
  return [...(dimensions?.keys() ?? []), ...(hasTokens ? TOKEN_DIMENSIONS : [])];
}

/**
 * What is counted. The compiler knows those of storage only: whatever holds amounts by dimension has all of them, and whoever wants
 * all goes by `counter.dimensions`.
 */
export function countedDimensions(config: Pick<ProxyConfig, "dimensions" | "backends">): readonly StorageDimension[] {
  return [...STORAGE_DIMENSIONS, ...(ownDimensions(config) as readonly string[] as readonly StorageDimension[])];
}
