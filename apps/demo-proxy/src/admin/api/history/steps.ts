import {
  type Period,
  type TimelineQuery,
  type TimelineStep,
  type UsageStore,
  utcDays,
  utcMonths,
} from "@usage/counter-core";

/** By dimension. */
export type Amounts = Readonly<Record<string, number>>;
/** By dimension, one amount for each step. */
export type Series = Readonly<Record<string, number[]>>;

/** A month by day, or a day by hour. */
export interface Span {
  readonly by: "day" | "hour";
  /** Of the month or the day. */
  readonly of: Period;
  /** The month that it is part of. */
  readonly period: string;
  readonly stepMs: number;
}

const HOUR_MS = 3_600_000;

/** The month (`2026-01`) or the day (`2026-01-31`) of that name; undefined where there is none. */
export function spanOf(by: Span["by"], name: string): Span | undefined {
  const startMs = Date.parse(by === "day" ? `${name}-01T00:00:00Z` : `${name}T00:00:00Z`);
  const span = Number.isNaN(startMs) ? undefined : spanAt(by, startMs);
  return span?.of.key === name ? span : undefined;
}

/** The month or the day that holds an instant. */
export function spanAt(by: Span["by"], timeMs: number): Span {
  const period = utcMonths.at(timeMs).key;
  const of = by === "day" ? utcMonths.at(timeMs) : utcDays.at(timeMs);
  return { by, of, period, stepMs: by === "day" ? 24 * HOUR_MS : HOUR_MS };
}

/** How many steps of a span have begun. A store whose clock is ahead may have a later one, which is not lost then. */
export function stepsBegun({ of, stepMs }: Span, nowMs: number, steps: readonly TimelineStep[]): number {
  const last = steps.reduce((latest, { start }) => Math.max(latest, start), Math.min(nowMs, of.end - 1));
  return Math.max(1, Math.floor((last - of.start) / stepMs) + 1);
}

export function noSeries(dimensions: readonly string[], length: number): Series {
  return Object.fromEntries(dimensions.map((dimension) => [dimension, new Array<number>(length).fill(0)]));
}

/** That of a name, which is made where there is none. */
export function seriesOf(series: Map<string, Series>, name: string, make: () => Series): Series {
  const known = series.get(name);
  if (known !== undefined) return known;
  const made = make();
  series.set(name, made);
  return made;
}

/** In which step something was used first; -1: in none. */
export function firstUse(amounts: readonly number[]): number {
  return amounts.findIndex((amount) => amount > 0);
}

export function amountsOf(dimensions: readonly string[], amountOf: (dimension: string) => number): Amounts {
  return Object.fromEntries(dimensions.map((dimension) => [dimension, amountOf(dimension)]));
}

/** Adds what was used in a step. */
export function addStep(series: Series, index: number, usage: Amounts): void {
  for (const [dimension, amounts] of Object.entries(series)) {
    const amount = Object.hasOwn(usage, dimension) ? (usage[dimension] ?? 0) : 0;
    amounts[index] = Math.min(Number.MAX_SAFE_INTEGER, (amounts[index] ?? 0) + amount);
  }
}

export function sumOf(amounts: readonly number[]): number {
  return Math.min(
    Number.MAX_SAFE_INTEGER,
    amounts.reduce((sum, amount) => sum + amount, 0),
  );
}

/** What is read of a store that keeps a timeline. */
export type TimedStore = Pick<UsageStore, "dimensions" | "totals"> & Required<Pick<UsageStore, "timeline">>;

export function readSteps(
  store: TimedStore,
  span: Span,
  backend: string | undefined,
): Promise<readonly TimelineStep[]> {
  const query: TimelineQuery = {
    step: span.by,
    from: span.of.start,
    to: span.of.end,
    ...(backend !== undefined && { backends: [backend] }),
  };
  return store.timeline(span.period, query);
}
