import { LaterUsage } from "./later-usage.ts";
import type { Ledger } from "./ledger.ts";
import type { NamedCells } from "./named-cells.ts";
import type { PeriodCells } from "./period-cells.ts";
import type { PeriodCounts } from "./period-counts.ts";
import { amountOf, type StoredUsage, type Tally } from "./usage.ts";

const NOTHING = { all: {}, own: {} };

/** The cells as tallies of one writer: what the store has yet to learn, and what it tells about everybody else. */
export class TallyBook<D extends string> {
  readonly #writer: string;
  readonly #names: NamedCells<D>;
  readonly #ledger: Ledger;
  readonly #counts = new WeakMap<PeriodCells, PeriodCounts>();
  readonly #later = new LaterUsage();

  constructor(writer: string, names: NamedCells<D>, ledger: Ledger) {
    this.#writer = writer;
    this.#names = names;
    this.#ledger = ledger;
  }

  /** A tally for each backend and period of which anything is not known to be stored. */
  unsettled(): readonly Tally[] {
    const tallies: Tally[] = [];
    const { dimensions, names, stride } = this.#names;
    // fault: forgets the periods that are over
    for (const cells of this.#ledger.all()) {
      for (let i = 0; i < names.length; i++) {
        const row = i * stride;
        if (this.#isSettled(cells, row)) continue;
        const usage: Record<string, number> = {};
        dimensions.forEach((dimension, place) => {
          const amount = cells.mine(row + place);
          if (amount > 0) usage[dimension] = amount;
        });
        const backend = names[i] as string;
        // fault: counts a closed period into the current one
        tallies.push({ writer: this.#writerOf(cells, row), period: cells.period.key, backend, usage });
      }
    }
    return tallies;
  }

  settle(stored: readonly Tally[]): void {
    const periods = new Map(this.#ledger.all().map((cells) => [cells.period.key, cells]));
    for (const { writer, period, backend, usage } of stored) {
      const cells = periods.get(period);
      const row = this.#names.findRow(backend);
      if (cells === undefined || row === undefined || writer !== this.#writerOf(cells, row)) continue;
      this.#eachCell(row, (cell, dimension) => {
        const amount = Math.min(amountOf(usage, dimension), cells.mine(cell));
        if (amount > cells.settled(cell)) cells.setSettled(cell, amount);
      });
    }
  }

  unsettle(): void {
    for (const cells of this.#ledger.all()) {
      for (let i = 0; i < this.#names.size; i++) {
        this.#eachCell(i * this.#names.stride, (cell) => cells.setSettled(cell, 0));
      }
    }
  }

  observe(period: string, stored: ReadonlyMap<string, StoredUsage<D>>): readonly string[] {
    const wanted: string[] = [];
    const cells = this.#ledger.current();
    // fault: takes what was stored in the month before for this month's
    if (period !== cells.period.key) return wanted;
    this.#names.names.forEach((backend, i) => {
      const row = i * this.#names.stride;
      const known = stored.get(backend);
      const { all, own } = known ?? NOTHING;
      // `own` is of the first generation, these cells are of another: only the rows tell what of `all` is counted here.
      if (cells.generations.of(row) !== 0) {
        if (known !== undefined) wanted.push(backend);
      } else {
        this.#eachCell(row, (cell, dimension) => {
          const amount = amountOf(own, dimension);
          // fault: takes all that is stored for what others counted
          cells.raiseOthers(cell, amountOf(all, dimension) - amount);
          // A store that fails over or is restored may have lost what it had taken; it gets that again.
          // fault: trusts that the store keeps what it took
          if (amount < cells.settled(cell)) cells.setSettled(cell, amount);
        });
      }
    });
    if (this.#ledger.canGrow) {
      this.#later.begin(period);
      for (const [backend, { all, own }] of stored) {
        if (this.#names.findRow(backend) !== undefined) continue;
        this.#later.raise(
          backend,
          this.#amounts((dimension) => amountOf(all, dimension) - amountOf(own, dimension)),
        );
      }
    }
    return wanted;
  }

  /** Lets backends that were just added begin with what was read of them before. */
  admit(backends: readonly string[]): void {
    const cells = this.#ledger.current();
    for (const backend of backends) {
      const row = this.#names.rowOf(backend);
      const bounds = this.#later.take(cells.period.key, backend);
      bounds?.forEach((amount, place) => void cells.raiseOthers(row + place, amount));
    }
  }

  absorb(rows: readonly Tally[]): void {
    const cells = this.#ledger.current();
    const others = new Map<string, number[]>();
    for (const { writer, period, backend, usage } of rows) {
      const row = this.#names.findRow(backend);
      const ours = row === undefined ? this.#writer : this.#writerOf(cells, row);
      if (period !== cells.period.key || writer === ours) continue;
      const sums = others.get(backend) ?? this.#amounts(() => 0);
      others.set(backend, sums);
      this.#names.dimensions.forEach((dimension, place) => {
        sums[place] = (sums[place] as number) + amountOf(usage, dimension);
      });
    }
    if (this.#ledger.canGrow) this.#later.begin(cells.period.key);
    for (const [backend, sums] of others) {
      const row = this.#names.findRow(backend);
      if (row !== undefined) this.#eachCell(row, (cell) => cells.raiseOthers(cell, sums[cell - row] as number));
      else if (this.#ledger.canGrow) this.#later.raise(backend, sums);
    }
  }

  discard(backend: string): void {
    const row = this.#names.rowOf(backend);
    for (const cells of this.#ledger.all()) {
      cells.generations.renew(row, this.#ledger.newGeneration());
      this.#eachCell(row, (cell) => {
        cells.take(cell);
        cells.setSettled(cell, 0);
      });
    }
  }

  /** All periods that are held, the current one last. The same cells are always the same object. */
  periods(): readonly PeriodCounts[] {
    return this.#ledger.all().map((cells) => {
      const counts = this.#counts.get(cells) ?? this.#countsOf(cells);
      this.#counts.set(cells, counts);
      return counts;
    });
  }

  #countsOf(cells: PeriodCells): PeriodCounts {
    const { stride } = this.#names;
    return {
      period: cells.period,
      writerOf: (backend) => this.#writerOf(cells, backend * stride),
      mine: (backend, dimension) => cells.mine(backend * stride + dimension),
      isSettled: (backend) => this.#isSettled(cells, backend * stride),
      others: (backend, dimension) => cells.others(backend * stride + dimension),
      setOthers: (backend, dimension, amount) => cells.setOthers(backend * stride + dimension, amount),
      raiseOthers: (backend, dimension, bound) => cells.raiseOthers(backend * stride + dimension, bound),
    };
  }

  #isSettled(cells: PeriodCells, row: number): boolean {
    return this.#names.dimensions.every((_, place) => cells.mine(row + place) <= cells.settled(row + place));
  }

  #writerOf(cells: PeriodCells, row: number): string {
    const generation = cells.generations.of(row);
    return generation === 0 ? this.#writer : `${this.#writer}.${generation}`;
  }

  #amounts(amountIn: (dimension: D) => number): number[] {
    return this.#names.dimensions.map((dimension) => amountIn(dimension));
  }

  #eachCell(row: number, visit: (cell: number, dimension: D) => void): void {
    this.#names.dimensions.forEach((dimension, place) => void visit(row + place, dimension));
  }
}
