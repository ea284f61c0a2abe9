import type { Clock, PeriodScheme, StorageDimension, UsageStore } from "@usage/counter-core";
import { openUsage, type TrackedCounter, type WindowedUsage } from "@usage/tracker";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { CounterStartError, type OpenedCounter } from "../counting/opened-counter.ts";
import { type ClientWindow, PASSING_WINDOWS } from "./client-windows.ts";

export interface ClientCounterParts {
  readonly config: Pick<ProxyConfig, "counter" | "store" | "flush">;
  /** What is counted. */
  readonly dimensions: readonly StorageDimension[];
  /** Makes the counter of a window. It is closed with the usage of clients. */
  readonly openCounter: OpenedCounter["beside"];
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * Opens what counts clients: in each window by a counter for each way in which it divides time.
 *
 * @param schemeOf undefined where a client is not counted in a window.
 */
export function openClientUsage(
  parts: ClientCounterParts,
  store: UsageStore,
  schemeOf: (name: string, window: ClientWindow) => PeriodScheme | undefined,
): Promise<WindowedUsage<StorageDimension, ClientWindow>> {
  const { config, clock, random } = parts;
  const of = (window: ClientWindow) => (name: string) => schemeOf(name, window) ?? "none";
  return openUsage<ClientWindow>({
    ...config.flush,
    windows: { month: of("month"), week: of("week"), day: of("day"), hour: of("hour"), minute: of("minute") },
    counter: (periods, window) => counterOf(parts, periods, window),
    store,
    readTimeoutMs: config.flush.timeoutMs,
    clock,
    random,
  });
}

async function counterOf(
  { config, openCounter }: ClientCounterParts,
  periods: PeriodScheme,
  window: ClientWindow,
): Promise<TrackedCounter<StorageDimension>> {
  // No store notes that an hour was opened: an exact counter would admit nobody at its beginning.
  const isPassing = PASSING_WINDOWS.includes(window);
  try {
    return await openCounter({
      periods,
      name: isPassing ? "clients:passing" : "clients",
      mayBeExact: !isPassing,
    });
  } catch (error) {
    throw new CounterStartError(config.counter, error);
  }
}
