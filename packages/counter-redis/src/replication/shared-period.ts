import { type PeriodCells, RowSet } from "@usage/counter-core/internal";
import { BUCKETS, type Bucket } from "../server/keys.ts";
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

/** What is known of a bucket. */
export class BucketState implements Bucket {
  readonly period: Bucket["period"];
  readonly number: number;
  /** Empty until it is known. */
  epoch = "";
  /** The version up to which what others changed is known. */
  cursor = 0;
  /** The highest version in any reply of this epoch. */
  seen = 0;
  /** When the last answered exchange that showed this epoch was sent, and when it was first seen, by `Clock.elapsed`. */
  servedAtMs: number = Number.NEGATIVE_INFINITY;
  seenAtMs = 0;
  /** Whether something of ours was pushed since we last reported that all of it is stored. */
  owes = false;
  /** Whether the node of a cluster that has it did not answer: it holds up nobody else until it does. */
  isAway = false;
  #isRipe = false;
  #wasRipe = false;

  constructor(period: Bucket["period"], number: number) {
    this.period = period;
    this.number = number;
  }

  /** Whether slices are granted there, as far as known. */
  get isRipe(): boolean {
    return this.#isRipe;
  }

  /** Whether they ever were, in whatever epoch. */
  get wasRipe(): boolean {
    return this.#wasRipe;
  }

  ripe(isRipe: boolean): void {
    this.#isRipe = isRipe;
    this.#wasRipe ||= isRipe;
  }

  /** It has this epoch from now on, by `Clock.elapsed`. */
  begin(epoch: string, atMs: number): void {
    this.epoch = epoch;
    this.seenAtMs = atMs;
    this.servedAtMs = Number.NEGATIVE_INFINITY;
    this.ripe(false);
  }

  /** What a poll shows while nothing has changed. */
  get version(): string {
    return this.epoch === "" ? "" : `${this.epoch} ${this.cursor}`;
  }
}

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
