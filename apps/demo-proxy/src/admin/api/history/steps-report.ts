import { jsonPieces } from "../../json-pieces.ts";
import { collectSteps, type StepsParts } from "./collected-steps.ts";
import { FEWEST_DAYS } from "./late-hours.ts";
import { CONFIDENCE, type MonthEndInput, monthEnd } from "./month-end.ts";
import { type Amounts, amountsOf, firstUse, type Series, type Span, sumOf } from "./steps.ts";

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

const FEWEST_HOURS = 6;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The JSON of a {@link StepsReport}. Rejects when the store cannot be read. */
export async function stepsJson(
  parts: StepsParts,
  span: Span,
  backend: string | undefined,
): Promise<readonly Uint8Array[]> {
  const { of, stepMs, by } = span;
  const { dimensions } = parts.store;
  const { nowMs, length, series, undated, all, hours, isRunning } = await collectSteps(parts, span, backend);
  const stepsOf = (usage: Series, undated: Amounts, name: string | undefined): StepsOf => {
    const total = amountsOf(dimensions, (dimension) => sumOf([...(usage[dimension] ?? []), undated[dimension] ?? 0]));
    const project = (dimension: string): Projected | null => {
      const days = usage[dimension] ?? [];
      const now = { used: total[dimension] ?? 0, nowMs, endMs: of.end };
      const byDay = projected("day", { amounts: days, startMs: of.start, ...now });
      if (byDay !== null || hours === undefined || firstUse(days) < hours.firstDay) return byDay;
      return projected("hour", { amounts: hours.of(name)?.[dimension] ?? [], startMs: hours.startMs, ...now });
    };
    const projection = Object.fromEntries(dimensions.map((dimension) => [dimension, project(dimension)]));
    return { usage, undated, total, ...(isRunning && { projection }) };
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
    all: stepsOf(all.series, all.undated, undefined),
  };
  const nothing = amountsOf(dimensions, () => 0);
  function* items(): Generator<StepsReport["backends"][number]> {
    for (const [name, usage] of series) yield { name, ...stepsOf(usage, undated.get(name) ?? nothing, name) };
  }
  return parts.turns.encode(jsonPieces(head, "backends", items()));
}

function projected(unit: Projected["unit"], input: Omit<MonthEndInput, "unitMs" | "fewest">): Projected | null {
  const size = unit === "day" ? { unitMs: DAY_MS, fewest: FEWEST_DAYS } : { unitMs: HOUR_MS, fewest: FEWEST_HOURS };
  const found = monthEnd({ ...input, ...size });
  if (found === undefined) return null;
  const { perUnit, ...rest } = found;
  return { ...rest, confidence: CONFIDENCE, unit, perDay: (perUnit * DAY_MS) / size.unitMs };
}
