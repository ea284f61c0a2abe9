import type { Awaitable, PeriodScheme } from "@usage/counter-core";
import type { OpenUsageOptions } from "../open-usage.ts";
import type { TrackedCounter } from "../tracked-counter.ts";
import type { WindowScheme } from "./window.ts";
import type { WindowLimits, WindowLimitsSource } from "./window-limits.ts";

export interface OpenWindowsOptions<D extends string, W extends string>
  extends Omit<OpenUsageOptions<D>, "counter" | "limits" | "defaults"> {
  /**
   * How time is divided, by the window's name: what is used must fit in all of them, and is counted in all. The first one's rows
   * in the store are those of a counter without windows; the keys of the others begin with their name (`day:2026-01-31`). One
   * that is shorter than a day is not stored.
   */
  readonly windows: Readonly<Record<W, WindowScheme>>;
  /**
   * Makes the counter of a window; where the window is a function, one for each scheme that it returns. It divides time by `periods`,
   * and counts the same dimensions in each. It is closed with what `openUsage` returned, where it can be.
   */
  readonly counter: (periods: PeriodScheme, window: W) => Awaitable<TrackedCounter<D>>;
  /** @default no limits */
  readonly limits?: WindowLimitsSource<D, W>;
  /** Of a backend for which `limits` has none. @default no limits */
  readonly defaults?: WindowLimits<D, W>;
}
