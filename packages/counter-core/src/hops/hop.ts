import type { HopCells, PeriodCells } from "../cells/cells.ts";

/**
 * What this process and one replica of the counts know of each other: the one idea, written once for every replica.
 *
 *     total = mine + max over hops(others)
 *
 * A replica is somewhere tallies are merged by maximum: the store, or what is shared in Redis. Everything that is asked about
 * one is asked here, of a row in the cells of a period.
 */
export class Hop {
  readonly #index: number;
  readonly #size: number;

  /**
   * @param index - Its place among the hops of the cells.
   * @param size - Cells of a row.
   */
  constructor(index: number, size: number) {
    this.#index = index;
    this.#size = size;
  }

  /** What is known of the replica in a period. */
  of(cells: PeriodCells): HopCells {
    return cells.hops[this.#index] as HopCells;
  }

  /** The rows of which the replica may lack something. Those of which it has all are taken out of them. */
  due(cells: PeriodCells): readonly number[] {
    const { due } = this.of(cells);
    due.filter((row) => this.isBehind(cells, row));
    return due.rows();
  }

  /** Whether there is anything to send. */
  isBehind(cells: PeriodCells, row: number): boolean {
    const { confirmed } = this.of(cells);
    const end = (row + 1) * this.#size;
    for (let cell = row * this.#size; cell < end; cell++) {
      if (cells.mine(cell) > (confirmed[cell] as number)) return true;
    }
    return false;
  }

  /** The replica has taken this much. Less than it is known to have changes nothing, and so does more than was counted. */
  confirm(cells: PeriodCells, row: number, amountAt: (place: number) => number): void {
    const { confirmed } = this.of(cells);
    for (let place = 0; place < this.#size; place++) {
      const cell = row * this.#size + place;
      const amount = Math.min(amountAt(place), cells.mine(cell));
      if (amount > (confirmed[cell] as number)) confirmed[cell] = amount;
    }
  }

  /**
   * What the replica showed, `all` and `own` from one reply. What others have is the difference, and the most that was ever
   * seen of it stays true. Less of one's own than it is known to have means that it lost something: that is sent again.
   */
  learn(cells: PeriodCells, row: number, all: (place: number) => number, own: (place: number) => number): boolean {
    const { confirmed, due } = this.of(cells);
    let isLost = false;
    for (let place = 0; place < this.#size; place++) {
      const cell = row * this.#size + place;
      const mine = own(place);
      this.#lift(cells, row, cell, mine);
      // fault: takes all that is stored for what others counted
      this.raise(cells, cell, all(place) - mine);
      // fault: trusts that the store keeps what it took
      if (mine < (confirmed[cell] as number)) {
        confirmed[cell] = mine;
        isLost = true;
      }
    }
    if (isLost) due.add(row);
    return isLost;
  }

  /** The replica may have lost everything: nothing of the row is known to be there. */
  forget(cells: PeriodCells, row: number): void {
    const { confirmed, due } = this.of(cells);
    confirmed.fill(0, row * this.#size, (row + 1) * this.#size);
    due.add(row);
  }

  /**
   * More of one's own than was counted here: both replicas had lost it when the backend was taken up again, and somebody's late
   * rows brought it back. It can only be from before, so what was counted since goes on top of it.
   */
  #lift(cells: PeriodCells, row: number, cell: number, own: number): void {
    const mine = cells.mine(cell);
    // fault: passes over more of its own than it knows of
    if (own <= mine) return;
    const since = mine - (cells.takenUp.get(cell) ?? 0);
    cells.setMine(cell, Math.min(own + since, Number.MAX_SAFE_INTEGER - cells.others(cell)));
    cells.takenUp.set(cell, own);
    for (const { due } of cells.hops) due.add(row);
  }

  /** Raises what the replica showed of others to a lower bound, as far as the total stays a safe integer. */
  raise(cells: PeriodCells, cell: number, bound: number): void {
    const amount = Math.min(bound, Number.MAX_SAFE_INTEGER - cells.mine(cell));
    // fault: lets a reply lower what is known of others
    if (amount > (this.of(cells).others[cell] as number)) cells.setOthers(this.#index, cell, amount);
  }

  /** Replaces what the replica showed of others. */
  setOthers(cells: PeriodCells, cell: number, amount: number): void {
    cells.setOthers(this.#index, cell, amount);
  }
}
