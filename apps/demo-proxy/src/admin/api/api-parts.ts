import type { Clock, UsageStore } from "@usage/counter-core";
import type { UsageFlusher, UsageTracker } from "@usage/tracker";
import type { ProxyConfig } from "../../config/proxy-config.ts";
import type { Sharing } from "../../counting/opened-counter.ts";
import type { LiveConfigStatus } from "../../process/live-config.ts";
import type { Router } from "../../proxy/admission/route.ts";
import type { Turns } from "../turns.ts";
import type { Refusals } from "./usage/refusals.ts";

/** What operators look at and act on. */
export interface ApiParts {
  readonly config: Pick<ProxyConfig, "counter" | "store">;
  readonly router: Pick<Router, "upstreams">;
  readonly tracker: UsageTracker;
  readonly store: UsageStore;
  readonly flusher: Pick<UsageFlusher, "flush" | "status">;
  readonly clock: Clock;
  readonly live: () => LiveConfigStatus;
  /** The configuration in force, since parts of it may change while the proxy runs. */
  readonly inForce: () => Pick<ProxyConfig, "routing" | "flush" | "backends" | "thresholds">;
  /** Absent when the counts stay in this process. */
  readonly sharing?: Sharing;
  readonly turns: Turns;
  readonly refusals: Pick<Refusals, "report" | "of">;
}
