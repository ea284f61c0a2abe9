import type { Clock, Limits, PeriodScheme } from "@usage/counter-core";
import { OpenUsage } from "../open-usage.ts";
import type { TrackedCounter } from "../tracked-counter.ts";
import type { OpenWindowsOptions } from "./open-windows-options.ts";
import { passingStore } from "./passing-store.ts";
import { checkedPeriod, isStored, keyedBy } from "./window.ts";

export interface WindowParts<D extends string, W extends string> {
  readonly options: OpenWindowsOptions<D, W>;
  readonly clock: Clock;
  readonly window: W;
  readonly scheme: PeriodScheme;
  /** Whether a backend that has just come waits for it. */
  readonly isLate: boolean;
  /** Whether its keys are those of a counter without windows. */
  readonly isFirst: boolean;
  readonly limitsOf: (backend: string) => Limits<D>;
  /** Is told what the window's counter counts; throws where that is not what the others count. */
  readonly onDimensions: (dimensions: readonly D[]) => void;
}

/**
 * The tracker of a window, with a counter of its own: nothing is open when it throws.
 *
 * @throws what making the counter and reading the store throw; WindowSchemeError for a scheme that is none; TypeError for a counter that
 * divides time otherwise or counts something else.
 */
export async function openWindow<D extends string, W extends string>(parts: WindowParts<D, W>): Promise<OpenUsage<D>> {
  const { clock, window, scheme, isLate, isFirst, limitsOf, onDimensions } = parts;
  const { counter: make, store, windows: _, limits: __, defaults: ___, ...others } = parts.options;
  // One teller is for all windows.
  const { thresholds: ____, onThreshold: _____, ...options } = others;
  const period = checkedPeriod(window, scheme, clock.now());
  const periods = isFirst ? scheme : keyedBy(window, scheme);
  const counter = await make(periods, window);
  try {
    assertDividedBy(window, periods, counter);
    onDimensions(counter.dimensions);
    const kept = isStored(period) ? store : passingStore(counter.dimensions);
    const tracker = new OpenUsage<D>({ ...options, clock, counter, store: kept, limits: limitsOf });
    // Nobody asks for names that a counter has from the start; whoever makes a tracker by coming asks for itself.
    if (!isLate) await tracker.refresh();
    return tracker;
  } catch (error) {
    // fault: leaves a counter open whose window cannot be opened
    await closeCounter(counter).catch(() => {});
    throw error;
  }
}

/** Ends a counter, where it can be ended. */
export async function closeCounter(counter: object): Promise<void> {
  if (Symbol.asyncDispose in counter) await (counter as AsyncDisposable)[Symbol.asyncDispose]();
}

/** Two windows whose counters have the same keys would count everything twice. */
function assertDividedBy<D extends string>(window: string, periods: PeriodScheme, counter: TrackedCounter<D>): void {
  const { key, start, end } = counter.period();
  const own = periods.at(start);
  // fault: takes a counter that divides time otherwise
  if (own.key === key && own.start === start && own.end === end) return;
  throw new TypeError(
    `counter must return a counter with the periods that it is given: that of windows.${window} is in the period ${key}, not ${own.key}`,
  );
}
