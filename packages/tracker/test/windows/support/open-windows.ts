import { LocalCounterBackend, memoryStore, type PeriodScheme, utcDays, utcMonths } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { type OpenWindowsOptions, openUsage, type WindowedUsage } from "@usage/tracker";
import { onTestFinished } from "vitest";

export type Parts<W extends string> = Partial<OpenWindowsOptions<Dimension, W>> & { readonly clock?: ManualClock };
type Dimension = "apiRequests" | "egressBytes" | "ingressBytes";

export const HOUR_MS = 3_600_000;

/** An instance with a month and a day, unless it is told otherwise; closed when the test is over. */
export async function opened<W extends string = "month" | "day">(parts: Parts<W> = {}): Promise<Opened<W>> {
  const { clock = new ManualClock("2026-01-30T12:00:00Z"), store = memoryStore() } = parts;
  const windows = { month: utcMonths, day: utcDays } as unknown as OpenWindowsOptions<Dimension, W>["windows"];
  const counter = (periods: PeriodScheme) => new LocalCounterBackend([], { periods, clock });
  const usage = await openUsage<W>({ windows, counter, random: () => 0, ...parts, store, clock });
  onTestFinished(() => usage.close());
  return { usage, clock, store };
}

interface Opened<W extends string> {
  readonly usage: WindowedUsage<Dimension, W>;
  readonly clock: ManualClock;
  readonly store: ReturnType<typeof memoryStore>;
}

/** What a window says of a backend. */
export function seen<W extends string>(usage: WindowedUsage<Dimension, W>, backend: string): Record<W, Seen> {
  const { windows } = usage.check(backend, {});
  const all = usage.windows.map((window) => {
    const { usage, held } = windows[window];
    return [window, [usage.apiRequests, held.apiRequests]];
  });
  return Object.fromEntries(all) as Record<W, Seen>;
}

/** What is used, and what is held. */
type Seen = readonly [used: number, held: number];
