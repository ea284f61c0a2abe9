import { type Clock, type TimelineStep, utcMonths } from "@usage/counter-core";
import { jsonPieces } from "../json-pieces.ts";
import type { Turns } from "../turns.ts";
import { CONFIDENCE, type MonthEndInput, monthEnd } from "./month-end.ts";
import {
  type Amounts,
  addStep,
  noSeries,
  readSteps,
  type Series,
  type Span,
  stepsBegun,
  sumOf,
  type TimedStore,
} from "./steps.ts";

/** What `GET /api/history?by=day` and `?by=hour` answer. Instants are ISO 8601. */
export interface StepsReport {
  readonly by: Span["by"];
  /** The month, or the day. */
  readonly of: string;
  /** The month. */
  readonly period: string;
  /** When it was made, by the proxy's clock. */
  readonly at: string;
  /** Of the month, or the day. */
  readonly start: string;
  readonly end: string;
  /** When each step began; the last one may be running. */
  readonly steps: readonly string[];
  readonly dimensions: readonly string[];
  readonly all: StepsOf;
  /** Those that the configuration has, and others that used something. */
  readonly backends: readonly (StepsOf & { readonly name: string })[];
}

export interface StepsOf {
  /** An amount for each step. */
  readonly usage: Series;
  /** What is stored of the month and of no day, since it was stored by somebody who keeps no timeline; by hour, nothing. */
  readonly undated: Amounts;
  /** All of it. */
  readonly total: Amounts;
  /** What the month's end will be; null where there is too little to say, absent for other months and by hour. */
  readonly projection?: Readonly<Record<string, Projected | null>>;
}

export interface Projected {
  readonly atEnd: number;
  /** With a probability of `confidence` it will be from `low` to `high`, if what is to come is like what was. */
  readonly low: number;
  readonly high: number;
  readonly confidence: number;
  /** From how many whole days or hours that was drawn. */
  readonly from: number;
  readonly unit: "day" | "hour";
  readonly perDay: number;
}

export interface StepsParts {
  readonly store: TimedStore;
  readonly turns: Turns;
  readonly clock: Pick<Clock, "now">;
  /** Of the configuration. */
  readonly names: readonly string[];
}

/** From so many whole days on they say more than hours. */
const FEWEST_DAYS = 3;
const FEWEST_HOURS = 6;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The JSON of a {@link StepsReport}. Rejects when the store cannot be read. */
export async function stepsJson(
  parts: StepsParts,
  span: Span,
  backend: string | undefined,
): Promise<readonly Uint8Array[]> {
  const { store, turns, clock } = parts;
  const { of, stepMs, by } = span;
  // Before the steps: what is stored meanwhile must not be taken for what is of no step.
  const totals =
    by === "day"
      ? (await store.totals(span.period, "", backend === undefined ? {} : { backends: [backend] })).usage
      : new Map();
  const found = await readSteps(store, span, backend);
  const nowMs = clock.now();
  const length = stepsBegun(span, nowMs, found);
  const { dimensions } = store;
  const backends = new Map<string, Series>();
  for (const name of backend === undefined ? parts.names : [backend]) backends.set(name, noSeries(dimensions, length));
  for (const name of totals.keys()) seriesOf(backends, name, () => noSeries(dimensions, length));
  const all = noSeries(dimensions, length);
  await turns.each(found, ({ start, backend: name, usage }) => {
    const index = Math.floor((start - of.start) / stepMs);
    addStep(
      seriesOf(backends, name, () => noSeries(dimensions, length)),
      index,
      usage,
    );
    addStep(all, index, usage);
  });
  const undatedOf = (series: Series, total: Amounts | undefined): Amounts =>
    each(dimensions, (dimension) => Math.max(0, (total?.[dimension] ?? 0) - sumOf(series[dimension] ?? [])));
  const undated = new Map<string, Amounts>();
  await turns.each(backends, ([name, series]) => void undated.set(name, undatedOf(series, totals.get(name)?.all)));
  const nothing = each(dimensions, () => 0);
  const ofAll = Object.fromEntries(
    dimensions.map((dimension) => [dimension, sumOf(Array.from(undated.values(), (of) => of[dimension] ?? 0))]),
  );
  const isRunning = by === "day" && span.period === utcMonths.at(nowMs).key;
  const hours = isRunning ? await lateHours(parts, span, { nowMs, backends }) : undefined;
  const stepsOf = (series: Series, undated: Amounts, name: string | undefined): StepsOf => {
    const total = each(dimensions, (dimension) => sumOf([...(series[dimension] ?? []), undated[dimension] ?? 0]));
    const project = (dimension: string): Projected | null => {
      const days = series[dimension] ?? [];
      const now = { used: total[dimension] ?? 0, nowMs, endMs: of.end };
      const byDay = projected("day", { amounts: days, startMs: of.start, ...now });
      if (byDay !== null || hours === undefined || firstUse(days) < hours.firstDay) return byDay;
      return projected("hour", { amounts: hours.of(name)?.[dimension] ?? [], startMs: hours.startMs, ...now });
    };
    const projection = Object.fromEntries(dimensions.map((dimension) => [dimension, project(dimension)]));
    return { usage: series, undated, total, ...(isRunning && { projection }) };
  };
  const head = {
    by,
    of: of.key,
    period: span.period,
    at: new Date(nowMs).toISOString(),
    start: new Date(of.start).toISOString(),
    end: new Date(of.end).toISOString(),
    steps: Array.from({ length }, (_, index) => new Date(of.start + index * stepMs).toISOString()),
    dimensions,
    all: stepsOf(all, ofAll, undefined),
  };
  function* items(): Generator<StepsReport["backends"][number]> {
    for (const [name, series] of backends) yield { name, ...stepsOf(series, undated.get(name) ?? nothing, name) };
  }
  return turns.encode(jsonPieces(head, "backends", items()));
}

function seriesOf(series: Map<string, Series>, name: string, make: () => Series): Series {
  const known = series.get(name);
  if (known !== undefined) return known;
  const made = make();
  series.set(name, made);
  return made;
}

/** The hours of the last days, of those who were not used before. */
interface LateHours {
  readonly startMs: number;
  /** How many days of the month were before. */
  readonly firstDay: number;
  /** Of a backend, or of all. */
  of(name: string | undefined): Series | undefined;
}

interface LateHoursOptions {
  readonly nowMs: number;
  readonly backends: ReadonlyMap<string, Series>;
}

async function lateHours({ store, turns }: StepsParts, span: Span, options: LateHoursOptions): Promise<LateHours> {
  const { nowMs, backends } = options;
  const startMs = Math.max(span.of.start, Math.floor((nowMs - (FEWEST_DAYS + 1) * DAY_MS) / DAY_MS) * DAY_MS);
  const firstDay = Math.floor((startMs - span.of.start) / DAY_MS);
  const isYoung = (series: Series): boolean => Object.values(series).some((amounts) => firstUse(amounts) >= firstDay);
  const young = Array.from(backends)
    .filter(([, series]) => isYoung(series))
    .map(([name]) => name);
  const hours = new Map<string, Series>();
  const length = Math.floor((nowMs - startMs) / HOUR_MS) + 1;
  const all = noSeries(store.dimensions, length);
  const found: readonly TimelineStep[] =
    young.length === 0
      ? []
      : await store.timeline(span.period, { step: "hour", from: startMs, to: nowMs, backends: young });
  await turns.each(found, ({ start, backend, usage }) => {
    const index = Math.floor((start - startMs) / HOUR_MS);
    addStep(
      seriesOf(hours, backend, () => noSeries(store.dimensions, length)),
      index,
      usage,
    );
    addStep(all, index, usage);
  });
  return { startMs, firstDay, of: (name) => (name === undefined ? all : hours.get(name)) };
}

function projected(unit: Projected["unit"], input: Omit<MonthEndInput, "unitMs" | "fewest">): Projected | null {
  const size = unit === "day" ? { unitMs: DAY_MS, fewest: FEWEST_DAYS } : { unitMs: HOUR_MS, fewest: FEWEST_HOURS };
  const found = monthEnd({ ...input, ...size });
  if (found === undefined) return null;
  const { perUnit, ...rest } = found;
  return { ...rest, confidence: CONFIDENCE, unit, perDay: (perUnit * DAY_MS) / size.unitMs };
}

/** In which step something was used first; -1: in none. */
function firstUse(amounts: readonly number[]): number {
  return amounts.findIndex((amount) => amount > 0);
}

function each(dimensions: readonly string[], amountOf: (dimension: string) => number): Amounts {
  return Object.fromEntries(dimensions.map((dimension) => [dimension, amountOf(dimension)]));
}
