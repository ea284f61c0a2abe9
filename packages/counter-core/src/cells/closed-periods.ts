import type { Period, PeriodScheme } from "../model/period.ts";
import { Generations } from "./cells.ts";
import type { HeapCells } from "./heap-cells.ts";

/** The closed periods that are still held, and what must be remembered of those that are not. */
export class ClosedPeriods {
  readonly #periods: PeriodScheme;
  #closed: ClosedPeriod[] = [];
  #lastDroppedMs = Number.NEGATIVE_INFINITY;
  #generation = 0;

  constructor(periods: PeriodScheme) {
    this.#periods = periods;
  }

  /** The earliest first. */
  get cells(): readonly HeapCells[] {
    return this.#closed.map(({ cells }) => cells);
  }

  add(cells: HeapCells): void {
    this.#closed.push({ cells, keepUntilMs: this.#periods.at(cells.period.end).end });
    this.#closed.sort((a, b) => a.cells.period.start - b.cells.period.start);
  }

  /** Takes a closed period out again: the clock stepped back into it. */
  reopen(period: Period): HeapCells | undefined {
    const at = this.#closed.findIndex(({ cells }) => cells.period.start === period.start);
    return at < 0 ? undefined : this.#closed.splice(at, 1)[0]?.cells;
  }

  /** For cells that begin at zero: a period that may have been dropped before must not count under the same writer again. */
  generationsOf(period: Period): Generations {
    return new Generations(period.start <= this.#lastDroppedMs ? this.newGeneration() : 0);
  }

  newGeneration(): number {
    this.#generation += 1;
    return this.#generation;
  }

  /** Lets go of the periods that `isStored` is true of, once the period after them has ended, too. */
  dropStored(nowMs: number, isStored: (cells: HeapCells) => boolean): void {
    if (this.#closed.every(({ keepUntilMs }) => nowMs < keepUntilMs)) return;
    this.#closed = this.#closed.filter(({ cells, keepUntilMs }) => {
      const keep = nowMs < keepUntilMs || !isStored(cells);
      if (!keep) this.#lastDroppedMs = Math.max(this.#lastDroppedMs, cells.period.start);
      return keep;
    });
  }
}

interface ClosedPeriod {
  readonly cells: HeapCells;
  /** The end of the period that follows. */
  readonly keepUntilMs: number;
}
