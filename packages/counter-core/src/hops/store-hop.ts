import type { PeriodCells, Periods } from "../cells/cells.ts";
import { amountOf, type StoredUsage, type Tally } from "../model/usage.ts";
import type { Rows } from "../request/rows.ts";
import { Hop } from "./hop.ts";
import type { Tallies } from "./tallies.ts";

const NOTHING = { all: {}, own: {} };

/** The hop to the store: its replica tells totals by name, and takes tallies. */
export class StoreHop extends Hop {
  readonly #rows: Rows;
  readonly #periods: Periods;
  readonly #tallies: Tallies;
  readonly #dimensions: readonly string[];
  /** The rows that began again, and whose backends' rows were asked for. */
  #asked:
    | { readonly cells: PeriodCells; readonly rows: readonly (readonly [row: number, generation: number])[] }
    | undefined;

  constructor(rows: Rows, periods: Periods, tallies: Tallies) {
    super(0, tallies.dimensions.length);
    this.#rows = rows;
    this.#periods = periods;
    this.#tallies = tallies;
    this.#dimensions = tallies.dimensions;
  }

  /** A tally for each backend and period of which the store may lack something. */
  tallies(): readonly Tally[] {
    // fault: forgets the periods that are over
    const held = this.#periods.all();
    return held.flatMap((cells) => this.due(cells).map((row) => this.#tallies.of(cells, row)));
  }

  /** The store has taken them. */
  confirmAll(stored: readonly Tally[]): void {
    this.#tallies.each(stored, (cells, row, { usage }) => {
      this.confirm(cells, row, (place) => this.#amountAt(usage, place));
    });
  }

  /**
   * See `TallySource.learn`.
   *
   * @param isTaken - Whether what is confirmed was taken by somebody who stores it under other names.
   */
  learnAll(
    period: string,
    stored: ReadonlyMap<string, StoredUsage<string>>,
    asked: readonly string[],
    isTaken: boolean,
  ): { readonly wanted: readonly string[]; readonly isLost: boolean } {
    const wanted = new Set<string>();
    let isLost = false;
    const cells = this.#periods.current();
    // fault: takes what was stored in the month before for this month's
    if (period !== cells.period.key) return { wanted: [], isLost };
    // Whoever began again does not know what it counted before, and nothing need have changed of that.
    // fault: knows after a discard no more of what is stored than before it
    for (const row of cells.generations.unread) wanted.add(this.#rows.nameOf(row));
    for (const backend of asked) {
      const row = this.#rows.find(backend);
      if (row === undefined) continue;
      const known = stored.get(backend);
      const { all, own } = known ?? NOTHING;
      // `own` is of the first generation, this row is of another: only the rows tell what of `all` is counted here.
      if (cells.generations.of(row) !== 0) {
        if (known !== undefined) wanted.add(backend);
      } else {
        const allAt = (place: number): number => this.#amountAt(all, place);
        const takenAt = (place: number): number =>
          this.of(cells).confirmed[row * this.#dimensions.length + place] as number;
        const ownAt = isTaken ? takenAt : (place: number): number => this.#amountAt(own, place);
        isLost = this.learn(cells, row, allAt, ownAt) || isLost;
      }
    }
    const { generations } = cells;
    this.#asked = { cells, rows: Array.from(generations.unread, (row) => [row, generations.of(row)]) };
    return { wanted: [...wanted], isLost };
  }

  /** See `TallySource.absorb`. */
  absorb(rows: readonly Tally[]): void {
    const cells = this.#periods.current();
    this.#noteRead(cells);
    for (const [backend, tallies] of Map.groupBy(rows, (tally) => tally.backend)) {
      const row = this.#rows.find(backend);
      const ofPeriod = tallies.filter(({ period }) => period === cells.period.key);
      if (row !== undefined) this.raiseBy(cells, row, ofPeriod);
    }
  }

  /** The most that is known of others is at least what these rows of other writers add up to. */
  raiseBy(cells: PeriodCells, row: number, tallies: readonly Tally[]): void {
    const own = this.#tallies.writerOf(cells, row);
    const others = tallies.filter(({ writer }) => writer !== own);
    this.#dimensions.forEach((dimension, place) => {
      const sum = others.reduce((amount, { usage }) => amount + amountOf(usage, dimension), 0);
      this.raise(cells, row * this.#dimensions.length + place, sum);
    });
  }

  /** What was asked for has come; but not what was counted under a name that has ended since. */
  #noteRead({ generations }: PeriodCells): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked?.cells.generations !== generations) return;
    for (const [row, generation] of asked.rows) {
      if (generations.of(row) === generation) generations.unread.delete(row);
    }
  }

  #amountAt(usage: Readonly<Record<string, number>>, place: number): number {
    return amountOf(usage, this.#dimensions[place] as string);
  }
}
