import { STORAGE_DIMENSIONS, type StorageDimension } from "@usage/counter-core";
import type { ProxyConfig } from "../config/proxy-config.ts";

/** What the model of a backend read and wrote, where the configuration says how its answers tell. */
export const TOKEN_DIMENSIONS = ["inputTokens", "outputTokens"] as const;

/** The names of the dimensions that a configuration adds to those of storage, in its order. */
function ownDimensions({ dimensions, backends }: Pick<ProxyConfig, "dimensions" | "backends">): readonly string[] {
  return [...(dimensions?.keys() ?? []), ...(haveTokens(backends) ? TOKEN_DIMENSIONS : [])];
}

function haveTokens(backends: ProxyConfig["backends"]): boolean {
  return backends.some(({ tokens }) => tokens !== undefined);
}

/** Whether tokens of these backends are counted from the next start on only, since this process was started without. */
export function awaitsTokens({ backends }: Pick<ProxyConfig, "backends">, counted: readonly string[]): boolean {
  return haveTokens(backends) && !TOKEN_DIMENSIONS.every((dimension) => counted.includes(dimension));
}

/** Why a limit or a grant of a dimension, which others count, would mean nothing at this backend; undefined: it counts it. */
export function uncountedAt({ tokens }: { readonly tokens?: unknown }, dimension: string): string | undefined {
  // fault: takes limits of tokens that nobody counts
  if (tokens === undefined && (TOKEN_DIMENSIONS as readonly string[]).includes(dimension)) {
    return "is counted only of a backend that has tokens; set tokens to openai or anthropic there, or leave it out";
  }
  return undefined;
}

/**
 * What is counted. The compiler knows those of storage only: whatever holds amounts by dimension has all of them, and whoever wants
 * all goes by `counter.dimensions`.
 */
export function countedDimensions(config: Pick<ProxyConfig, "dimensions" | "backends">): readonly StorageDimension[] {
  return [...STORAGE_DIMENSIONS, ...(ownDimensions(config) as readonly string[] as readonly StorageDimension[])];
}
