import type { StorageDimension, Usage } from "@usage/counter-core";
import type { ClientAccount } from "./client-account.ts";
import type { ClientUsage } from "./client-usage.ts";
import type { ClientWindow } from "./client-windows.ts";

/** How much of a limit is used, 1 being all of it. */
export interface UsedPart {
  readonly part: number;
  readonly dimension: string;
  readonly window: ClientWindow;
}

/** The largest used part of any limit above 0 of a client; undefined where it has none. */
export function mostUsed(clientUsage: ClientUsage, { name, limits }: ClientAccount): UsedPart | undefined {
  let most: UsedPart | undefined;
  for (const window of Object.keys(limits) as ClientWindow[]) {
    const used = partOf(clientUsage.totalOf(name, window), clientUsage.limitsOf(name, window));
    if (used !== undefined && used.part > (most?.part ?? -1)) most = { ...used, window };
  }
  return most;
}

/** The largest used part of any of these limits above 0. */
export function partOf(usage: Usage, limits: Partial<Usage>): Omit<UsedPart, "window"> | undefined {
  let most: Omit<UsedPart, "window"> | undefined;
  for (const [dimension, limit] of Object.entries(limits)) {
    if (limit === 0) continue;
    const part = usage[dimension as StorageDimension] / limit;
    if (part > (most?.part ?? -1)) most = { part, dimension };
  }
  return most;
}
