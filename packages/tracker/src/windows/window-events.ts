import type { FlushEvent, LimitEvent } from "../events.ts";
import type { OpenUsage } from "../open-usage.ts";

/** A backend was refused a request by a window. */
export interface WindowLimitEvent<D extends string, W extends string = string> extends LimitEvent<D> {
  readonly window: W;
}

/** The flush of a window ended. */
export interface WindowFlushEvent<D extends string, W extends string = string> extends FlushEvent<D> {
  readonly window: W;
}

/** A tracker, and the window whose periods it counts in. */
export interface WindowTracker<D extends string, W extends string = string> {
  readonly window: W;
  readonly tracker: OpenUsage<D>;
}
