import type { ProxyConfig } from "../config/proxy-config.ts";

/** Thresholds as a configuration has them. */
export interface ConfiguredThresholds {
  /** Of all backends that have none of their own. */
  readonly thresholds: readonly number[];
  readonly own: ReadonlyMap<string, readonly number[]>;
}

export function thresholdsOf({
  thresholds,
  backends,
}: Pick<ProxyConfig, "thresholds" | "backends">): ConfiguredThresholds {
  const own = backends.flatMap(({ name, thresholds }) => (thresholds ? [[name, thresholds] as const] : []));
  return { thresholds, own: new Map(own) };
}
