import type { Clock } from "@usage/counter-core";
import type { HeapPeriods, Tallies } from "@usage/counter-core/internal";
import type { MergedItem, MergeItem } from "../server/shared-counts.ts";
import { Asks } from "./asks.ts";
import type { BucketState } from "./bucket-state.ts";
import { Leases } from "./leases.ts";
import { PeriodSlices, type SliceTerms } from "./period-slices.ts";
import type { SharedPeriod } from "./shared-period.ts";

/** How often what is idle or suspended is looked at, in milliseconds. */
const TEND_MS = 250;
/** How often what holds keep free is said again within a lease. */
const REMINDERS = 4;

export interface SlicesParts {
  readonly periods: HeapPeriods;
  readonly tallies: Tallies;
  readonly clock: Clock;
  readonly isExact: boolean;
  readonly leaseMs: number;
  readonly syncIntervalMs: number;
  /** Something of a row may be free that was not. */
  readonly freed: (row: number) => void;
  /** Somebody waits for what an exchange would bring. */
  readonly hasten: () => void;
  /** The current period's counts that are shared. */
  readonly current: () => SharedPeriod;
  readonly bucketOf: (shared: SharedPeriod, row: number) => BucketState;
}

/**
 * What this process may use without asking: a slice is a ceiling on its own tally, what was granted to it less what it returned.
 *
 * | mode | granted | returned |
 * | ---- | ------- | -------- |
 * | exact | before anything is used; asks ride on pushes | what is idle, what others need, what a lowered limit forbids |
 * | approximate | after the fact: as much as is counted and held | at once all that is not |
 */
export class Slices {
  readonly #parts: SlicesParts;
  readonly #terms: SliceTerms;
  readonly #leases: Leases;
  readonly #asks: Asks;
  readonly #of = new WeakMap<SharedPeriod, PeriodSlices>();
  #isClosing = false;
  #tendedAtMs = Number.NEGATIVE_INFINITY;

  /** @throws RangeError for a `leaseMs` that is out of range. */
  constructor(parts: SlicesParts) {
    const { periods, isExact, tallies } = parts;
    const size = tallies.dimensions.length;
    this.#parts = parts;
    this.#terms = { periods, isExact, size, isClosing: () => this.#isClosing };
    this.#leases = new Leases(parts);
    this.#asks = new Asks({ ...parts, size });
  }

  /** Finds the rows that have something to say: it is to be called before each push. */
  look(shared: SharedPeriod): void {
    const { cells } = shared;
    const slices = this.#slices(shared);
    for (const row of cells.heldRows.rows()) {
      shared.apply(row, { kind: "changed" });
      slices.holding.add(row);
    }
    cells.heldRows.clear();
    const nowMs = this.#parts.clock.elapsed();
    this.#remind(slices, nowMs);
    if (!this.#parts.isExact) return;
    const isTime = nowMs - this.#tendedAtMs >= TEND_MS;
    const isOver = !slices.isCurrent || this.#isClosing;
    for (const [row, demand] of slices.active) {
      if (demand.isHungry() && demand.mayAsk(nowMs)) shared.apply(row, { kind: "changed" });
      if (!isTime && !isOver) continue;
      demand.tire(nowMs);
      // fault: keeps what it does not use
      if (isOver || demand.isIdle(nowMs)) {
        slices.giveBack(row);
        // What a hold gives back is a slice again.
        const isNeeded = slices.isHolding(row) || slices.suspended.has(row) || slices.unsaid.has(row);
        if (!isNeeded) slices.active.delete(row);
      }
      if (slices.suspended.has(row)) shared.apply(row, { kind: "changed" });
    }
    if (isTime && slices.isCurrent) this.#tendedAtMs = nowMs;
  }

  /** What a push of a row says of its slices. */
  sayingOf(shared: SharedPeriod, row: number): Pick<MergeItem, "pairs" | "asks"> {
    const { isExact } = this.#parts;
    const slices = this.#slices(shared);
    this.#announce(slices, row);
    const asks = isExact && !this.#isClosing ? this.#asks.of(slices, row) : undefined;
    const pairs = slices.pairsOf(row);
    if (asks !== undefined) return { pairs, asks };
    const isSaid = isExact ? pairs.some(({ granted }) => granted > 0) : slices.unsaid.has(row) || slices.isHolding(row);
    return isSaid ? { pairs } : {};
  }

  /** Takes what a merge of a row shows; `item` is what was sent. */
  take(shared: SharedPeriod, row: number, item: MergeItem, merged: MergedItem): void {
    const { periods, isExact, bucketOf } = this.#parts;
    const slices = this.#slices(shared);
    const { cells } = shared;
    let isFreed = false;
    let isSaid = true;
    let isForgiven = false;
    for (const [place, cell] of slices.cellsOf(row).entries()) {
      const pair = merged.slices?.pairs[place];
      const own =
        pair === undefined
          ? 0
          : Math.max(0, pair.granted - pair.returned - pair.forgiven - (merged.own[place] as number));
      const elsewhere = Math.max(0, (merged.slices?.held[place] ?? 0) - own);
      isFreed ||= elsewhere < cells.heldElsewhere(cell);
      periods.setHeldElsewhere(cells, cell, elsewhere);
      const forgiven = merged.slices?.forgiven[place] ?? 0;
      if (forgiven > (slices.forgiven.get(cell) ?? 0)) slices.forgiven.set(cell, forgiven);
      isForgiven ||= (pair?.forgiven ?? 0) > slices.pairs.forgiven(cell);
      if (pair !== undefined && slices.pairs.raise(cell, pair)) isFreed = true;
      isSaid &&= slices.pairs.returned(cell) <= (pair?.returned ?? 0);
    }
    if (isSaid) slices.unsaid.delete(row);
    // Who was taken for dead and is not says what it still holds.
    if (isForgiven && slices.isHolding(row)) shared.apply(row, { kind: "changed" });
    if (merged.slices !== undefined) bucketOf(shared, row).ripe(merged.slices.isRipe);
    if (isExact) {
      // What was asked for before all was given back may be granted after that: it is used, given back or suspended as any slice.
      if (slices.hasSlack(row)) this.#watch(slices, row);
      if (item.pairs !== undefined) {
        const canResume = merged.isWhole && merged.slices?.isRipe === true;
        isFreed = this.#leases.announced(slices, row, canResume) || isFreed;
      }
      this.#asks.answered(slices, row, item.asks, merged);
      slices.open(row);
    }
    if (isFreed && slices.isCurrent) this.#parts.freed(row);
  }

  /** What a row that is taken up again had before: no slice comes of it. */
  takeUp(shared: SharedPeriod, row: number, item: MergeItem, merged: MergedItem): void {
    this.take(shared, row, item, merged);
    this.#slices(shared).giveBack(row);
  }

  /** There was no room for so much in the current period. On the request path. */
  noRoom(row: number, amounts: Float64Array): void {
    if (!this.#parts.isExact || this.#isClosing) return;
    const slices = this.#slices(this.#parts.current());
    if (!this.#asks.couldFit(slices, row, amounts)) return;
    this.#watch(slices, row);
    this.#asks.refused(slices, row, amounts);
  }

  /** The limits of a row have changed: what was granted for higher ones is given back. */
  limited(shared: SharedPeriod, row: number, isLower: boolean): void {
    if (!this.#parts.isExact) return;
    const slices = this.#slices(shared);
    // fault: a limit that is lowered leaves slices as they are
    if (isLower) slices.giveBack(row);
    slices.open(row);
  }

  /** The bucket is about to begin anew: what its rows have must be pushed again. */
  renewed(shared: SharedPeriod, bucket: BucketState, rows: readonly number[]): void {
    this.#leases.renewed(this.#slices(shared), bucket, rows);
  }

  /** An exchange that was sent then showed the epoch that is known. */
  served(shared: SharedPeriod, bucket: BucketState, sentAtMs: number): void {
    if (this.#parts.isExact) this.#leases.served(this.#slices(shared), bucket, sentAtMs);
  }

  /** The bucket has become ripe: what was asked for in vain is asked for again. */
  ripened(shared: SharedPeriod, bucket: BucketState): void {
    bucket.ripe(true);
    for (const [row, demand] of this.#slices(shared).active) {
      if (this.#parts.bucketOf(shared, row) !== bucket) continue;
      demand.granted();
      shared.apply(row, { kind: "changed" });
    }
  }

  /** From now on nothing is asked for, and the next push gives all back. */
  close(): void {
    // fault: ends without giving back what it did not use
    this.#isClosing = true;
  }

  /** Whether a row has no slice, and the shared counts know that. */
  isInStep(shared: SharedPeriod, row: number): boolean {
    const slices = this.#slices(shared);
    return !slices.unsaid.has(row) && !slices.hasSlack(row);
  }

  /** The rows that have a slice, or are short of one. */
  activeRows(shared: SharedPeriod): readonly number[] {
    return [...this.#slices(shared).active.keys()];
  }

  /** Whether others keep anything of a row free. */
  isHeldElsewhere(shared: SharedPeriod, row: number): boolean {
    return this.#slices(shared)
      .cellsOf(row)
      .some((cell) => shared.cells.heldElsewhere(cell) > 0);
  }

  /** What all were forgiven of a row, in the order of dimensions; undefined where that is nothing. */
  forgivenOf(shared: SharedPeriod, row: number): readonly number[] | undefined {
    const slices = this.#slices(shared);
    const amounts = slices.cellsOf(row).map((cell) => slices.forgiven.get(cell) ?? 0);
    return amounts.some((amount) => amount > 0) ? amounts : undefined;
  }

  /** Until when a row's slice may be used without another exchange, in milliseconds since the Unix epoch. */
  usableUntilMs(shared: SharedPeriod, row: number): number {
    const { clock } = this.#parts;
    return clock.now() + this.#leases.endOf(this.#slices(shared), row) - clock.elapsed();
  }

  /** Why a row cannot be given a slice now, where that is no matter of what is used and held. */
  problemOf(shared: SharedPeriod, row: number): "unready" | "offline" | undefined {
    if (this.#slices(shared).suspended.has(row)) return "offline";
    return shared.isWhole(row) && this.#parts.bucketOf(shared, row).isRipe ? undefined : "unready";
  }

  clear(shared: SharedPeriod, row: number): void {
    this.#slices(shared).clear(row);
  }

  #slices(shared: SharedPeriod): PeriodSlices {
    let slices = this.#of.get(shared);
    if (slices === undefined) {
      slices = new PeriodSlices(shared, this.#terms);
      this.#of.set(shared, slices);
    }
    return slices;
  }

  /** Says again now and then what holds keep free: who says nothing for long may be taken for dead, and forgiven it. */
  #remind(slices: PeriodSlices, nowMs: number): void {
    const { shared, holding } = slices;
    // fault: says nothing of holds that go on for long
    if (holding.size === 0 || nowMs < slices.remindAtMs) return;
    slices.remindAtMs = nowMs + this.#parts.leaseMs / REMINDERS;
    for (const row of holding) {
      if (slices.isHolding(row)) shared.apply(row, { kind: "changed" });
      else holding.delete(row);
    }
  }

  /** What the row has is tended from now on. */
  #watch(slices: PeriodSlices, row: number): void {
    if (slices.active.has(row)) return;
    this.#asks.demandOf(slices, row);
    this.#leases.watch(slices);
  }

  /** Says after the fact what is held, and gives back what is not to be kept. */
  #announce(slices: PeriodSlices, row: number): void {
    const { pairs, active, shared } = slices;
    for (const cell of slices.cellsOf(row)) {
      const isKept = slices.isSliced(cell);
      const isHolding = shared.cells.held(cell) > 0;
      if (!active.has(row) && !isHolding && pairs.granted(cell) === 0) continue;
      const returned = pairs.returned(cell);
      const needed = returned + pairs.forgiven(cell) + slices.used(cell);
      if (isHolding || (isKept && active.has(row))) slices.say(row, cell, { granted: needed });
      const slack = pairs.granted(cell) - needed;
      if (!isKept && slack > 0) slices.say(row, cell, { returned: returned + slack });
    }
    slices.open(row);
  }
}
