import { type Clock, utcMonths } from "@usage/counter-core";
import type { Turns } from "../../turns.ts";
import { type LateHours, lateHours } from "./late-hours.ts";
import {
  type Amounts,
  addStep,
  amountsOf,
  noSeries,
  readSteps,
  type Series,
  type Span,
  seriesOf,
  stepsBegun,
  sumOf,
  type TimedStore,
} from "./steps.ts";

export interface StepsParts {
  readonly store: TimedStore;
  readonly turns: Turns;
  readonly clock: Pick<Clock, "now">;
  /** Of the configuration. */
  readonly names: readonly string[];
}

/** What is known of a span, of one backend or of all. */
export interface CollectedSteps {
  readonly nowMs: number;
  /** How many steps each series has. */
  readonly length: number;
  /** Of those that the configuration has, and of others that used something. */
  readonly series: ReadonlyMap<string, Series>;
  /** What is stored of the month and of no step, by backend. */
  readonly undated: ReadonlyMap<string, Amounts>;
  readonly all: { readonly series: Series; readonly undated: Amounts };
  /** What a month that runs is projected from where its days are too few; undefined for other spans. */
  readonly hours: LateHours | undefined;
  readonly isRunning: boolean;
}

/** Reads a span, and adds it up in turns. Rejects when the store cannot be read. */
export async function collectSteps(
  { store, turns, clock, names }: StepsParts,
  span: Span,
  backend: string | undefined,
): Promise<CollectedSteps> {
  const { of, stepMs, by } = span;
  const { dimensions } = store;
  // Before the steps: what is stored meanwhile must not be taken for what is of no step.
  const totals =
    by === "day"
      ? (await store.totals(span.period, "", backend === undefined ? {} : { backends: [backend] })).usage
      : new Map();
  const found = await readSteps(store, span, backend);
  const nowMs = clock.now();
  const length = stepsBegun(span, nowMs, found);
  const none = (): Series => noSeries(dimensions, length);
  const series = new Map<string, Series>();
  const known = (name: string): void => void seriesOf(series, name, none);
  await turns.each(backend === undefined ? names : [backend], known);
  await turns.each(totals.keys(), known);
  const all = none();
  await turns.each(found, ({ start, backend: name, usage }) => {
    const index = Math.floor((start - of.start) / stepMs);
    addStep(seriesOf(series, name, none), index, usage);
    addStep(all, index, usage);
  });
  const undated = new Map<string, Amounts>();
  let ofAll = amountsOf(dimensions, () => 0);
  await turns.each(series, ([name, dated]) => {
    const total = totals.get(name)?.all;
    const here = amountsOf(dimensions, (dimension) =>
      Math.max(0, (total?.[dimension] ?? 0) - sumOf(dated[dimension] ?? [])),
    );
    undated.set(name, here);
    const before = ofAll;
    ofAll = amountsOf(dimensions, (dimension) => sumOf([before[dimension] ?? 0, here[dimension] ?? 0]));
  });
  const isRunning = by === "day" && span.period === utcMonths.at(nowMs).key;
  const hours = isRunning ? await lateHours({ store, turns }, span, { nowMs, series }) : undefined;
  return { nowMs, length, series, undated, all: { series: all, undated: ofAll }, hours, isRunning };
}
