import type { Clock } from "@usage/counter-core";
import { type HeapPeriods, UNLIMITED } from "@usage/counter-core/internal";
import type { Ask, MergedItem } from "../server/shared-counts.ts";
import { Demand } from "./demand.ts";
import type { PeriodSlices } from "./period-slices.ts";

export interface AsksParts {
  readonly periods: HeapPeriods;
  /** The number of dimensions. */
  readonly size: number;
  readonly clock: Clock;
  readonly syncIntervalMs: number;
  /** Somebody waits for what an exchange would bring. */
  readonly hasten: () => void;
}

type Asked = readonly (Ask | undefined)[];

/** What is asked for ahead of its use, and what comes of that: who is over gives back, and so does who has more than others need. */
export class Asks {
  readonly #parts: AsksParts;

  constructor(parts: AsksParts) {
    this.#parts = parts;
  }

  /** What a row needs is looked after from now on. */
  demandOf(slices: PeriodSlices, row: number): Demand {
    const known = slices.active.get(row);
    if (known !== undefined) return known;
    const { clock, syncIntervalMs } = this.#parts;
    const used = slices.cellsOf(row).map((cell) => slices.used(cell));
    const demand = new Demand(used, clock.elapsed(), syncIntervalMs);
    slices.active.set(row, demand);
    return demand;
  }

  /** Whether a slice could make room for so much; on the request path. */
  couldFit({ shared: { cells } }: PeriodSlices, row: number, amounts: Float64Array): boolean {
    const { periods, size } = this.#parts;
    for (let place = 0; place < size; place++) {
      const cell = row * size + place;
      const used = cells.mine(cell) + cells.others(cell) + cells.held(cell);
      if (used + (amounts[place] as number) > periods.limit(cell)) return false;
    }
    return true;
  }

  /** So much was refused for want of a slice; on the request path. */
  refused(slices: PeriodSlices, row: number, amounts: Float64Array): void {
    const { periods, size, clock, hasten } = this.#parts;
    const nowMs = clock.elapsed();
    const demand = this.demandOf(slices, row);
    const wasHungry = demand.isHungry();
    for (let place = 0; place < size; place++) {
      const cell = row * size + place;
      const amount = amounts[place] as number;
      if (periods.limit(cell) === UNLIMITED || amount === 0) continue;
      if (slices.slack(cell) < amount) demand.refuse(place, amount, nowMs);
    }
    if (!wasHungry && demand.isHungry() && demand.mayAsk(nowMs)) hasten();
  }

  /** What a push of a row asks for; undefined: nothing. */
  of(slices: PeriodSlices, row: number): Asked | undefined {
    const { periods, clock } = this.#parts;
    const demand = slices.active.get(row);
    if (demand === undefined || !slices.isCurrent) return undefined;
    const nowMs = clock.elapsed();
    const cells = slices.cellsOf(row);
    for (const [place, cell] of cells.entries()) demand.use(place, slices.used(cell), nowMs);
    demand.looked(nowMs);
    // What is idle is given back, and not asked for again with that.
    const mayAsk = demand.mayAsk(nowMs) && !demand.isIdle(nowMs);
    if (!mayAsk || slices.suspended.has(row) || slices.over.has(row)) return undefined;
    const asks = cells.map((cell, place): Ask | undefined => {
      if (!slices.isSliced(cell)) return undefined;
      const slack = slices.slack(cell);
      const want = demand.want(place);
      if (slack >= want / 2 || want === 0) return undefined;
      const target = slices.pairs.granted(cell) + want - slack;
      return { limit: periods.limit(cell), target, need: Math.max(0, demand.need(place) - slack) };
    });
    return asks.some((ask) => ask !== undefined) ? asks : undefined;
  }

  /** Takes what a reply shows: what came of what was asked for, and what others need. */
  answered(slices: PeriodSlices, row: number, asks: Asked | undefined, merged: MergedItem): void {
    const { periods, clock } = this.#parts;
    const demand = slices.active.get(row);
    let isOver = false;
    let isDenied = false;
    const kept = new Map<number, number>();
    for (const [place, cell] of slices.cellsOf(row).entries()) {
      if (!slices.isSliced(cell)) continue;
      const sum = merged.sums[place] as number;
      const limit = periods.limit(cell);
      // fault: who was silent goes on though others have used what it had
      isOver ||= sum + (merged.slices?.held[place] ?? 0) > limit;
      if (demand === undefined) continue;
      if (sum >= limit) demand.giveUp(place);
      const isAsked = asks?.[place] !== undefined;
      if (isAsked) demand.asked(place, slices.slack(cell));
      const isShort = isAsked && demand.need(place) > 0;
      isDenied ||= isShort;
      const isHungry = demand.heardOfHungry(place, merged.slices?.hungry[place] ?? 0, isShort ? 1 : 0);
      // fault: gives back nothing that others need
      if (isHungry) kept.set(cell, demand.little(place));
    }
    if (isDenied) demand?.denied(clock.elapsed());
    else if (asks !== undefined) demand?.granted();
    // fault: whoever had more than a limit admits nothing any more
    if (isOver) slices.over.add(row);
    else slices.over.delete(row);
    slices.giveBack(row, (cell) => (isOver ? 0 : (kept.get(cell) ?? Number.POSITIVE_INFINITY)));
  }
}
