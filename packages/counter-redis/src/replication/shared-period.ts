import { type PeriodCells, RowSet } from "@usage/counter-core/internal";
import { BUCKETS } from "../server/keys.ts";
import { BucketState } from "./bucket-state.ts";
import {
  exists,
  isDue,
  isRefused,
  isWhole,
  mayLack,
  next,
  type RowEvent,
  type RowState,
  UNKNOWN,
  wantsRows,
} from "./row-state.ts";

/** What is known of the shared counts of one period, by row. */
export class SharedPeriod {
  readonly cells: PeriodCells;
  readonly buckets: readonly BucketState[];
  #states = new Uint8Array(64);
  readonly #due = new RowSet(64);
  readonly #refused = new Set<number>();
  readonly #wanting = new Set<number>();

  /** @param buckets - Absent: nothing is known of them. */
  constructor(cells: PeriodCells, buckets?: readonly BucketState[]) {
    this.cells = cells;
    this.buckets = buckets ?? Array.from({ length: BUCKETS }, (_, number) => new BucketState(cells.period, number));
  }

  apply(row: number, event: RowEvent): void {
    this.#reserve(row);
    const state = next(this.#states[row] as RowState, event);
    this.#states[row] = state;
    if (isDue(state)) this.#due.add(row);
    if (isRefused(state)) this.#refused.add(row);
    else this.#refused.delete(row);
    if (wantsRows(state)) this.#wanting.add(row);
    else this.#wanting.delete(row);
  }

  /** The row is another backend's now. */
  clear(row: number): void {
    this.#reserve(row);
    this.#states[row] = UNKNOWN;
    this.#due.delete(row);
    this.#refused.delete(row);
    this.#wanting.delete(row);
  }

  /** Whether it should be looked at. What nobody has ever changed here need not be. */
  isDue(row: number): boolean {
    return this.#due.has(row) && isDue(this.#state(row));
  }

  isRefused(row: number): boolean {
    return isRefused(this.#state(row));
  }

  hasRefused(): boolean {
    return this.#refused.size > 0 || this.buckets.some(({ isAway }) => isAway);
  }

  exists(row: number): boolean {
    return exists(this.#state(row));
  }

  isWhole(row: number): boolean {
    return isWhole(this.#state(row));
  }

  /** Whether it is known that they may lack something that the store has. */
  mayLack(row: number): boolean {
    return mayLack(this.#state(row));
  }

  wantsRows(row: number): boolean {
    return this.#wanting.has(row);
  }

  /** The rows into whose counts the store's should be merged. */
  wanting(): readonly number[] {
    return [...this.#wanting];
  }

  /** The rows that should be looked at. */
  due(): readonly number[] {
    this.#due.filter((row) => isDue(this.#state(row)));
    return this.#due.rows();
  }

  refused(): readonly number[] {
    return [...this.#refused];
  }

  #state(row: number): RowState {
    return this.#states[row] ?? UNKNOWN;
  }

  #reserve(row: number): void {
    if (row < this.#states.length) return;
    const rows = Math.max(row + 1, 2 * this.#states.length);
    const states = new Uint8Array(rows);
    states.set(this.#states);
    this.#states = states;
    this.#due.grow(rows);
  }
}
