import type { Clock } from "@usage/counter-core";
import { assertDelay, type HeapPeriods, type PeriodCells, type Tallies, UNLIMITED } from "@usage/counter-core/internal";
import type { Ask, MergedItem, MergeItem, Pair } from "../server/shared-counts.ts";
import { Demand } from "./demand.ts";
import { PeriodSlices } from "./period-slices.ts";
import type { BucketState, SharedPeriod } from "./shared-period.ts";

/** How often leases are looked at, as a part of them. */
const LOOKS = 100;
/** How often what is idle or suspended is looked at, in milliseconds. */
const TEND_MS = 250;
/** The ceiling of a row that may use nothing, whatever it holds. */
const CLOSED = Number.NEGATIVE_INFINITY;

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
 *
 * A slice may be used for `leaseMs` after the last answered exchange, that showed the epoch in which it was last pushed, was sent.
 * Then it is suspended until the shared counts show that nobody's slice is missing there.
 */
export class Slices {
  readonly #parts: SlicesParts;
  readonly #of = new WeakMap<SharedPeriod, PeriodSlices>();
  readonly #size: number;
  /** Periods of which something is active. */
  readonly #live = new Set<SharedPeriod>();
  #isTicking = false;
  #isClosing = false;
  #tendedAtMs = Number.NEGATIVE_INFINITY;

  /** @throws RangeError for a `leaseMs` that is out of range. */
  constructor(parts: SlicesParts) {
    assertDelay("leaseMs", parts.leaseMs);
    this.#parts = parts;
    this.#size = parts.tallies.dimensions.length;
  }

  /** Finds the rows that have something to say: it is to be called before each push. */
  look(shared: SharedPeriod): void {
    const { cells } = shared;
    for (const row of cells.heldRows.rows()) shared.apply(row, { kind: "changed" });
    cells.heldRows.clear();
    if (!this.#parts.isExact) return;
    const slices = this.#slices(shared);
    const nowMs = this.#parts.clock.elapsed();
    const isTime = nowMs - this.#tendedAtMs >= TEND_MS;
    const isOver = cells !== this.#parts.periods.current() || this.#isClosing;
    for (const [row, demand] of slices.active) {
      if (demand.isHungry() && demand.mayAsk(nowMs)) shared.apply(row, { kind: "changed" });
      if (!isTime && !isOver) continue;
      demand.tire(nowMs);
      if (isOver || demand.isIdle(nowMs)) {
        this.#giveBack(shared, row, () => 0);
        // What a hold gives back is a slice again.
        const isOpen = this.#places((place) => cells.held(row * this.#size + place)).some((held) => held > 0);
        if (!isOpen && !slices.suspended.has(row) && !slices.unsaid.has(row)) slices.active.delete(row);
      }
      if (slices.suspended.has(row)) shared.apply(row, { kind: "changed" });
    }
    if (isTime && cells === this.#parts.periods.current()) this.#tendedAtMs = nowMs;
  }

  /** What a push of a row says of its slices. */
  sayingOf(shared: SharedPeriod, row: number): Pick<MergeItem, "pairs" | "asks"> {
    const { pairs } = this.#slices(shared);
    this.#announce(shared, row);
    const asks = this.#asksOf(shared, row);
    const all = this.#places((place): Pair => {
      const cell = row * this.#size + place;
      return { granted: pairs.granted(cell), returned: pairs.returned(cell) };
    });
    if (asks !== undefined) return { pairs: all, asks };
    const isSaid = this.#parts.isExact ? all.some(({ granted }) => granted > 0) : this.#hasAny(shared, row);
    return isSaid ? { pairs: all } : {};
  }

  /** Takes what a merge of a row shows; `item` is what was sent. */
  take(shared: SharedPeriod, row: number, item: MergeItem, merged: MergedItem): void {
    const { periods, isExact } = this.#parts;
    const slices = this.#slices(shared);
    const bucket = this.#parts.bucketOf(shared, row);
    const { cells } = shared;
    let isFreed = false;
    for (let place = 0; place < this.#size; place++) {
      const cell = row * this.#size + place;
      const pair = merged.slices?.pairs[place];
      const own = pair === undefined ? 0 : Math.max(0, pair.granted - pair.returned - (merged.own[place] as number));
      const elsewhere = Math.max(0, (merged.slices?.held[place] ?? 0) - own);
      isFreed ||= elsewhere < cells.heldElsewhere(cell);
      periods.setHeldElsewhere(cells, cell, elsewhere);
      if (pair !== undefined && slices.pairs.raise(cell, pair)) isFreed = true;
    }
    const isSaid = this.#places((place) => place).every((place) => {
      const cell = row * this.#size + place;
      return slices.pairs.returned(cell) <= (merged.slices?.pairs[place]?.returned ?? 0);
    });
    if (isSaid) slices.unsaid.delete(row);
    if (merged.slices !== undefined) bucket.isRipe = merged.slices.isRipe;
    if (isExact) {
      // What was asked for before all was given back may be granted after that: it is used, given back or suspended as any slice.
      if (this.#places((place) => this.#slack(shared, row, place)).some((slack) => slack > 0))
        this.#demandOf(shared, row);
      if (item.pairs !== undefined) isFreed = this.#renewLease(shared, row, merged) || isFreed;
      this.#compare(shared, row, item, merged);
      this.#open(shared, row);
    }
    if (isFreed && cells === periods.current()) this.#parts.freed(row);
  }

  /** What a row that is taken up again had before: no slice comes of it. */
  takeUp(shared: SharedPeriod, row: number, item: MergeItem, merged: MergedItem): void {
    this.take(shared, row, item, merged);
    this.#giveBack(shared, row, () => 0);
  }

  /** There was no room for so much in the current period. On the request path. */
  noRoom(row: number, amounts: Float64Array): void {
    const { periods, isExact, clock, current } = this.#parts;
    if (!isExact || this.#isClosing) return;
    const cells = periods.current();
    const start = row * this.#size;
    for (let place = 0; place < this.#size; place++) {
      const cell = start + place;
      const used = cells.mine(cell) + cells.others(cell) + cells.held(cell);
      // No slice would help.
      if (used + (amounts[place] as number) > periods.limit(cell)) return;
    }
    const shared = current();
    const nowMs = clock.elapsed();
    const demand = this.#demandOf(shared, row);
    const wasHungry = demand.isHungry();
    const { pairs } = this.#slices(shared);
    for (let place = 0; place < this.#size; place++) {
      const cell = start + place;
      const amount = amounts[place] as number;
      if (periods.limit(cell) === UNLIMITED || amount === 0) continue;
      if (pairs.ceiling(cell) - cells.mine(cell) - cells.held(cell) < amount) demand.refuse(place, amount, nowMs);
    }
    if (!wasHungry && demand.isHungry() && demand.mayAsk(nowMs)) this.#parts.hasten();
  }

  /** The limits of a row have changed: what was granted for higher ones is given back. */
  limited(shared: SharedPeriod, row: number, isLower: boolean): void {
    if (!this.#parts.isExact) return;
    if (isLower) this.#giveBack(shared, row, () => 0);
    this.#open(shared, row);
  }

  /** The bucket begins anew: what its rows have must be pushed again before their leases go on. */
  renewed(shared: SharedPeriod, bucket: BucketState, rows: readonly number[]): void {
    const { unannounced, active } = this.#slices(shared);
    for (const row of rows) {
      if (active.has(row) && !unannounced.has(row)) unannounced.set(row, bucket.servedAtMs);
    }
    bucket.isRipe = false;
    bucket.servedAtMs = Number.NEGATIVE_INFINITY;
    bucket.seenAtMs = this.#parts.clock.elapsed();
  }

  /** An exchange that was sent then showed the epoch that is known. */
  served(shared: SharedPeriod, bucket: BucketState, sentAtMs: number): void {
    if (!this.#parts.isExact) return;
    const { clock, leaseMs } = this.#parts;
    // Who has been silent for too long already does not go on by being heard again.
    if (clock.elapsed() >= bucket.servedAtMs + leaseMs) this.#suspendLate(shared);
    bucket.servedAtMs = Math.max(bucket.servedAtMs, sentAtMs);
  }

  /** The bucket has become ripe: what was asked for in vain is asked for again. */
  ripened(shared: SharedPeriod, bucket: BucketState): void {
    bucket.isRipe = true;
    for (const row of this.#slices(shared).active.keys()) {
      if (this.#parts.bucketOf(shared, row) !== bucket) continue;
      this.#slices(shared).active.get(row)?.granted();
      shared.apply(row, { kind: "changed" });
    }
  }

  /** From now on nothing is asked for, and the next push gives all back. */
  close(): void {
    this.#isClosing = true;
  }

  /** Whether a row has no slice, and the shared counts know that. */
  isInStep(shared: SharedPeriod, row: number): boolean {
    const { unsaid } = this.#slices(shared);
    return !unsaid.has(row) && this.#places((place) => this.#slack(shared, row, place)).every((slack) => slack <= 0);
  }

  /** Until when a row's slice may be used without another exchange, in milliseconds since the Unix epoch. */
  usableUntilMs(shared: SharedPeriod, row: number): number {
    const { clock } = this.#parts;
    return clock.now() + this.#leaseEnd(shared, row) - clock.elapsed();
  }

  /** Why a row cannot be given a slice now, where that is no matter of what is used and held. */
  problemOf(shared: SharedPeriod, row: number): "unready" | "offline" | undefined {
    if (this.#slices(shared).suspended.has(row)) return "offline";
    return shared.isWhole(row) && this.#parts.bucketOf(shared, row).isRipe ? undefined : "unready";
  }

  clear(shared: SharedPeriod, row: number): void {
    this.#slices(shared).clear(row, this.#size);
    this.#places((place) => this.#parts.periods.setHeldElsewhere(shared.cells, row * this.#size + place, 0));
    this.#open(shared, row);
  }

  #slices(shared: SharedPeriod): PeriodSlices {
    let slices = this.#of.get(shared);
    if (slices === undefined) {
      slices = new PeriodSlices();
      this.#of.set(shared, slices);
    }
    return slices;
  }

  #demandOf(shared: SharedPeriod, row: number): Demand {
    const { active } = this.#slices(shared);
    let demand = active.get(row);
    if (demand === undefined) {
      const { clock, syncIntervalMs } = this.#parts;
      demand = new Demand(
        this.#places((place) => this.#used(shared.cells, row, place)),
        clock.elapsed(),
        syncIntervalMs,
      );
      active.set(row, demand);
      this.#live.add(shared);
      if (!this.#isTicking) this.#tick();
    }
    return demand;
  }

  /** Says after the fact what is held, and gives back what is not to be kept. */
  #announce(shared: SharedPeriod, row: number): void {
    const { cells } = shared;
    const { pairs, unsaid, active } = this.#slices(shared);
    for (let place = 0; place < this.#size; place++) {
      const cell = row * this.#size + place;
      const isKept = this.#isSliced(cells, cell);
      if (!active.has(row) && cells.held(cell) === 0 && pairs.granted(cell) === 0) continue;
      const returned = pairs.returned(cell);
      const needed = returned + this.#used(cells, row, place);
      if (cells.held(cell) > 0 || (isKept && active.has(row))) {
        if (pairs.raise(cell, { granted: needed, returned })) unsaid.add(row);
      }
      const slack = pairs.granted(cell) - needed;
      if (!isKept && slack > 0 && pairs.raise(cell, { granted: 0, returned: returned + slack })) unsaid.add(row);
    }
    this.#open(shared, row);
  }

  #asksOf(shared: SharedPeriod, row: number): readonly (Ask | undefined)[] | undefined {
    const { periods, clock, isExact } = this.#parts;
    const { cells } = shared;
    if (!isExact || this.#isClosing || cells !== periods.current()) return undefined;
    const slices = this.#slices(shared);
    const demand = slices.active.get(row);
    const nowMs = clock.elapsed();
    if (demand === undefined) return undefined;
    for (let place = 0; place < this.#size; place++) demand.use(place, this.#used(cells, row, place), nowMs);
    demand.looked(nowMs);
    // What is idle is given back, and not asked for again with that.
    const mayAsk = demand.mayAsk(nowMs) && !demand.isIdle(nowMs);
    if (!mayAsk || slices.suspended.has(row) || slices.over.has(row)) return undefined;
    let isAny = false;
    const asks = this.#places((place): Ask | undefined => {
      const cell = row * this.#size + place;
      if (!this.#isSliced(cells, cell)) return undefined;
      const slack = this.#slack(shared, row, place);
      const want = demand.want(place);
      if (slack >= want / 2 || want === 0) return undefined;
      isAny = true;
      const target = slices.pairs.granted(cell) + want - slack;
      return { limit: periods.limit(cell), target, need: Math.max(0, demand.need(place) - slack) };
    });
    return isAny ? asks : undefined;
  }

  /** Whether the lease goes on or begins again; returns whether a row that was suspended is not any more. */
  #renewLease(shared: SharedPeriod, row: number, merged: MergedItem): boolean {
    const slices = this.#slices(shared);
    if (this.#isLate(shared, row)) this.#suspend(shared, row);
    const isSuspended = slices.suspended.has(row);
    if (isSuspended && !(merged.isWhole && merged.slices?.isRipe)) return false;
    slices.unannounced.delete(row);
    return slices.suspended.delete(row);
  }

  /** What the reply shows against what may be: who is over gives back, and so does who has more than others need. */
  #compare(shared: SharedPeriod, row: number, { asks }: MergeItem, merged: MergedItem): void {
    const { periods, clock } = this.#parts;
    const slices = this.#slices(shared);
    const demand = slices.active.get(row);
    const nowMs = clock.elapsed();
    let isOver = false;
    let isDenied = false;
    const kept = this.#places((place) => {
      const cell = row * this.#size + place;
      if (!this.#isSliced(shared.cells, cell)) return Number.POSITIVE_INFINITY;
      const sum = merged.sums[place] as number;
      const limit = periods.limit(cell);
      isOver ||= sum + (merged.slices?.held[place] ?? 0) > limit;
      if (demand === undefined) return Number.POSITIVE_INFINITY;
      if (sum >= limit) demand.giveUp(place);
      const slack = this.#slack(shared, row, place);
      const ask = asks?.[place];
      if (ask !== undefined) demand.asked(place, slack);
      const isShort = ask !== undefined && demand.need(place) > 0;
      isDenied ||= isShort;
      const isHungry = demand.heardOfHungry(place, merged.slices?.hungry[place] ?? 0, isShort ? 1 : 0);
      return isHungry ? demand.little(place) : Number.POSITIVE_INFINITY;
    });
    if (isDenied) demand?.denied(nowMs);
    else if (asks !== undefined) demand?.granted();
    if (isOver) slices.over.add(row);
    else slices.over.delete(row);
    this.#giveBack(shared, row, (place) => (isOver ? 0 : (kept[place] as number)));
  }

  /** Returns all of a row's slice but so much of each place. It stops using it before anybody hears of it. */
  #giveBack(shared: SharedPeriod, row: number, keep: (place: number) => number): void {
    const { pairs, unsaid } = this.#slices(shared);
    let isAny = false;
    for (let place = 0; place < this.#size; place++) {
      const cell = row * this.#size + place;
      const surplus = this.#slack(shared, row, place) - keep(place);
      if (!(surplus > 0)) continue;
      pairs.raise(cell, { granted: 0, returned: pairs.returned(cell) + surplus });
      isAny = true;
    }
    if (!isAny) return;
    unsaid.add(row);
    this.#open(shared, row);
    shared.apply(row, { kind: "changed" });
  }

  /** Lets a row be used as far as its slice goes. */
  #open(shared: SharedPeriod, row: number): void {
    const { periods, isExact } = this.#parts;
    if (!isExact) return;
    const { pairs, suspended, over } = this.#slices(shared);
    const isClosed = suspended.has(row) || over.has(row);
    for (let place = 0; place < this.#size; place++) {
      const cell = row * this.#size + place;
      periods.setCeiling(shared.cells, cell, isClosed ? CLOSED : pairs.ceiling(cell));
    }
  }

  #tick(): void {
    this.#isTicking = true;
    this.#parts.clock.after(Math.max(1, this.#parts.leaseMs / LOOKS), () => {
      for (const shared of this.#live) {
        this.#suspendLate(shared);
        if (this.#slices(shared).active.size === 0) this.#live.delete(shared);
      }
      if (this.#live.size > 0) this.#tick();
      else this.#isTicking = false;
    });
  }

  #suspendLate(shared: SharedPeriod): void {
    for (const row of this.#slices(shared).active.keys()) if (this.#isLate(shared, row)) this.#suspend(shared, row);
  }

  #isLate(shared: SharedPeriod, row: number): boolean {
    return this.#parts.clock.elapsed() >= this.#leaseEnd(shared, row);
  }

  /** By `Clock.elapsed`. */
  #leaseEnd(shared: SharedPeriod, row: number): number {
    const { leaseMs, bucketOf } = this.#parts;
    return (this.#slices(shared).unannounced.get(row) ?? bucketOf(shared, row).servedAtMs) + leaseMs;
  }

  #suspend(shared: SharedPeriod, row: number): void {
    const { suspended, pairs } = this.#slices(shared);
    if (suspended.has(row)) return;
    const cells = this.#places((place) => row * this.#size + place);
    // Who has no slice, and no hold that could become one, has nothing to stop.
    if (cells.every((cell) => pairs.ceiling(cell) <= shared.cells.mine(cell))) return;
    suspended.add(row);
    this.#open(shared, row);
    shared.apply(row, { kind: "changed" });
  }

  /** Whether a cell takes no more than was granted. */
  #isSliced(cells: PeriodCells, cell: number): boolean {
    const { periods, isExact } = this.#parts;
    return isExact && !this.#isClosing && cells === periods.current() && periods.limit(cell) !== UNLIMITED;
  }

  #hasAny(shared: SharedPeriod, row: number): boolean {
    if (this.#slices(shared).unsaid.has(row)) return true;
    return this.#places((place) => shared.cells.held(row * this.#size + place)).some((held) => held > 0);
  }

  #used(cells: PeriodCells, row: number, place: number): number {
    const cell = row * this.#size + place;
    return cells.mine(cell) + cells.held(cell);
  }

  #slack(shared: SharedPeriod, row: number, place: number): number {
    const { pairs } = this.#slices(shared);
    return pairs.ceiling(row * this.#size + place) - this.#used(shared.cells, row, place);
  }

  #places<T>(of: (place: number) => T): T[] {
    return Array.from({ length: this.#size }, (_, place) => of(place));
  }
}
