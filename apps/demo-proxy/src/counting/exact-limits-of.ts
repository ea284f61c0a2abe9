import type { CounterConfig } from "../config/proxy-config.ts";
import type { ExactLimits } from "../proxy/admission/body-room.ts";

const DEFAULT_WAIT_MS = 2_000;

/** How requests are kept within limits that are exact; undefined where they are not. Of a local counter, nobody else has any room. */
export function exactLimitsOf(counter: CounterConfig): ExactLimits | undefined {
  if (counter.enforcement !== "exact") return undefined;
  return { waitMs: counter.kind === "redis" ? (counter.waitMs ?? DEFAULT_WAIT_MS) : 0 };
}
