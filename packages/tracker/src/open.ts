import type { StorageDimension } from "@usage/counter-core";
import { OpenUsage, type OpenUsageOptions } from "./open-usage.ts";
import type { OpenWindowsOptions } from "./windows/open-windows-options.ts";
import { WindowedUsage } from "./windows/windowed-usage.ts";

/**
 * Binds a counter to a store: what was used before is known when it resolves, so limits are never open, and from then on counts
 * are stored by themselves.
 *
 * With `thresholds`, `onThreshold` is told once a part of a limit is used.
 *
 * With `windows`, what is used is counted in several periods at once, and must fit in all of them.
 *
 * @throws what reading the store throws, and what is wrong with the options; nothing runs then.
 * @example
 * ```ts
 * const usage = await openUsage({ counter, store, limits: { oci: { apiRequests: 50_000 } } });
 * if (usage.tryRecord("oci", { apiRequests: 1 })) await send();
 * await usage.close();
 * ```
 */
export function openUsage<W extends string, D extends string = StorageDimension>(
  options: OpenWindowsOptions<D, W>,
): Promise<WindowedUsage<D, W>>;
export function openUsage<D extends string = StorageDimension>(options: OpenUsageOptions<D>): Promise<OpenUsage<D>>;
export async function openUsage<D extends string>(
  options: OpenUsageOptions<D> | OpenWindowsOptions<D, string>,
): Promise<OpenUsage<D> | WindowedUsage<D>> {
  if ("windows" in options) return WindowedUsage.open(options);
  const usage = new OpenUsage(options);
  await usage.refresh();
  usage.start();
  return usage;
}
