import type { TimelineStep } from "@usage/counter-core";
import type { Turns } from "../../turns.ts";
import { addStep, firstUse, noSeries, type Series, type Span, seriesOf, type TimedStore } from "./steps.ts";

/** The hours of the last days, of those who were not used before. */
export interface LateHours {
  readonly startMs: number;
  /** How many days of the month were before. */
  readonly firstDay: number;
  /** Of a backend, or of all. */
  of(name: string | undefined): Series | undefined;
}

interface LateHoursOptions {
  readonly nowMs: number;
  /** The days of the month so far, by backend. */
  readonly series: ReadonlyMap<string, Series>;
}

/** From so many whole days on they say more than hours. */
export const FEWEST_DAYS = 3;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export async function lateHours(
  { store, turns }: { readonly store: TimedStore; readonly turns: Turns },
  span: Span,
  { nowMs, series }: LateHoursOptions,
): Promise<LateHours> {
  const startMs = Math.max(span.of.start, Math.floor((nowMs - (FEWEST_DAYS + 1) * DAY_MS) / DAY_MS) * DAY_MS);
  const firstDay = Math.floor((startMs - span.of.start) / DAY_MS);
  const young: string[] = [];
  await turns.each(series, ([name, days]) => {
    if (Object.values(days).some((amounts) => firstUse(amounts) >= firstDay)) young.push(name);
  });
  const hours = new Map<string, Series>();
  const length = Math.floor((nowMs - startMs) / HOUR_MS) + 1;
  const none = (): Series => noSeries(store.dimensions, length);
  const all = none();
  const found: readonly TimelineStep[] =
    young.length === 0
      ? []
      : await store.timeline(span.period, { step: "hour", from: startMs, to: nowMs, backends: young });
  await turns.each(found, ({ start, backend, usage }) => {
    const index = Math.floor((start - startMs) / HOUR_MS);
    addStep(seriesOf(hours, backend, none), index, usage);
    addStep(all, index, usage);
  });
  return { startMs, firstDay, of: (name) => (name === undefined ? all : hours.get(name)) };
}
