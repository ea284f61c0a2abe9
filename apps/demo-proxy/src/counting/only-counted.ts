import type { Usage } from "@usage/counter-core";
import type { ClientLimits } from "../config/proxy-config.ts";

/** Of amounts by dimension, those that are counted: what a configuration adds is counted from the next start on. */
export function onlyCounted(counted: readonly string[], amounts: Partial<Usage>): Partial<Usage> {
  // fault: begins with limits by API of what is not counted any more
  return Object.fromEntries(Object.entries(amounts).filter(([dimension]) => counted.includes(dimension)));
}

/** The same in each window. */
export function onlyCountedByWindow(counted: readonly string[], limits: ClientLimits): ClientLimits {
  return Object.fromEntries(Object.entries(limits).map(([window, amounts]) => [window, onlyCounted(counted, amounts)]));
}
