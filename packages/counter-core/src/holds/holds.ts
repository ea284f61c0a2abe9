import type { HoldingPeriods } from "../cells/cells.ts";
import type { HoldOptions } from "../counter.ts";
import type { Clock } from "../model/clock.ts";
import { AmountError } from "../model/errors.ts";
import type { Usage } from "../model/usage.ts";
import type { Recorder } from "../request/recorder.ts";
import { assertDelay } from "../util/assert-delay.ts";
import { Emitter, type Event } from "../util/emitter.ts";
import type { Hold } from "./hold.ts";
import { KeptAmounts } from "./kept-amounts.ts";
import { LinkedList } from "./linked-list.ts";
import { OpenHold } from "./open-hold.ts";

/** How exactly holds expire, in milliseconds: never early, and at most so much late. */
const TICK_MS = 1_000;
const DEFAULT_TTL_MS = 600_000;

export interface HoldsParts<D extends string> {
  readonly dimensions: readonly D[];
  readonly periods: HoldingPeriods;
  readonly recorder: Recorder<D>;
  readonly clock: Clock;
  /** There was no room for so much more in the current period. */
  readonly noRoom: (row: number, amounts: Float64Array) => void;
}

/** The holds of a counter that are open: what they keep free, what becomes of it, and when they expire. */
export class Holds<D extends string> {
  readonly #parts: HoldsParts<D>;
  readonly #expired = new Emitter<Hold<D>>();
  readonly #freed = new Emitter<string>();
  readonly #open = new LinkedList<OpenHold<D>>();
  readonly #kept: KeptAmounts;
  /** More than any hold keeps. */
  readonly #all: Float64Array;
  /** What a step takes out of what a hold keeps. */
  readonly #taken: Float64Array;
  /** Ticks of a timer that runs while any hold is open: a hold costs no look at the clock. */
  #ticks = 0;
  #isTicking = false;

  constructor(parts: HoldsParts<D>) {
    this.#parts = parts;
    const size = parts.dimensions.length;
    this.#kept = new KeptAmounts(size);
    this.#all = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
    this.#taken = new Float64Array(size);
  }

  /** Each hold that expires. */
  get onExpired(): Event<Hold<D>> {
    return this.#expired.event;
  }

  /** Each backend of which something is free again. */
  get onFreed(): Event<string> {
    return this.#freed.event;
  }

  /** Keeps amounts free that were just read, where they fit. @throws RangeError for a time that no timer can wait. */
  open(
    backend: string,
    row: number,
    amounts: Float64Array,
    { ttlMs = DEFAULT_TTL_MS }: HoldOptions,
  ): Hold<D> | undefined {
    assertDelay("ttlMs", ttlMs);
    const { periods } = this.#parts;
    const cells = periods.current();
    if (!periods.tryKeepFree(cells, row, amounts)) return undefined;
    const ends = this.#ticks + 1 + Math.ceil(ttlMs / TICK_MS);
    const hold = new OpenHold(this, backend, row, cells, this.#kept.take(amounts), ends);
    this.#open.add(hold);
    cells.openHolds += 1;
    periods.use(row);
    if (!this.#isTicking) this.#tick();
    return hold;
  }

  /** What a hold keeps free, as a usage object. */
  usageOf(hold: OpenHold<D>): Usage<D> {
    const { dimensions } = this.#parts;
    return Object.fromEntries(dimensions.map((dimension, place) => [dimension, this.#keptOf(hold, place)])) as Usage<D>;
  }

  /** Something of a backend may be free that was not. */
  tellFreed(backend: string): void {
    if (this.#freed.hasListeners) this.#freed.emit(backend);
  }

  extend(hold: OpenHold<D>, more: Partial<Usage<D>>): boolean {
    const amounts = this.#parts.recorder.read(hold.backend, more);
    const { periods, noRoom } = this.#parts;
    if (hold.state !== "open") return false;
    if (!periods.tryKeepFree(hold.cells, hold.row, amounts)) {
      if (hold.cells === periods.current()) noRoom(hold.row, amounts);
      return false;
    }
    this.#kept.add(hold.start, amounts);
    return true;
  }

  canExtend(hold: OpenHold<D>, more: Partial<Usage<D>>): boolean {
    const amounts = this.#parts.recorder.read(hold.backend, more);
    const { periods } = this.#parts;
    if (hold.state !== "open" || !periods.tryKeepFree(hold.cells, hold.row, amounts)) return false;
    // At once, so that nobody hears of it.
    periods.free(hold.cells, hold.row, amounts);
    return true;
  }

  shrink(hold: OpenHold<D>, less: Partial<Usage<D>>): void {
    const amounts = this.#parts.recorder.read(hold.backend, less);
    if (hold.state !== "open") return;
    if (this.#free(hold, amounts)) this.tellFreed(hold.backend);
  }

  count(hold: OpenHold<D>, part: Partial<Usage<D>>): void {
    const amounts = this.#parts.recorder.read(hold.backend, part);
    this.#assertCountable(hold, amounts);
    this.#add(hold, amounts);
  }

  assertCountable(hold: OpenHold<D>, part: Partial<Usage<D>>): void {
    this.#assertCountable(hold, this.#parts.recorder.read(hold.backend, part));
  }

  settle(hold: OpenHold<D>, actual: Partial<Usage<D>> | undefined): void {
    // fault: counts what is settled a second time
    if (hasEnded(hold)) return;
    const { recorder } = this.#parts;
    const amounts = actual === undefined ? this.#allOf(hold) : recorder.read(hold.backend, actual);
    this.#assertCountable(hold, amounts);
    // fault: counts nothing of what is settled after its time
    this.#add(hold, amounts);
    this.end(hold, "settled");
  }

  /** Gives back what a hold keeps free. */
  end(hold: OpenHold<D>, state: "settled" | "voided" | "expired"): void {
    if (hasEnded(hold)) return;
    if (hold.state === "open") {
      this.#open.delete(hold);
      hold.cells.openHolds -= 1;
      const isAnyFreed = this.#free(hold, this.#all);
      this.#kept.give(hold.start);
      // fault: tells that there is room before the hold has ended
      hold.state = state;
      // Else whoever waits tries in vain, and there may be thousands.
      if (isAnyFreed) this.tellFreed(hold.backend);
    }
    hold.state = state;
  }

  #add(hold: OpenHold<D>, amounts: Float64Array): void {
    const taken = this.#taken;
    if (hold.state === "open") this.#kept.takeOut(hold.start, amounts, taken);
    else taken.fill(0);
    this.#parts.periods.countHeld(hold.cells, this.#rowOf(hold), amounts, taken);
  }

  /** An open hold keeps its backend held; one that expired does not, and its row may be another's. */
  #rowOf({ state, row, backend }: OpenHold<D>): number {
    // fault: counts a late settle in the row that its backend had
    return state === "open" ? row : this.#parts.recorder.rowOf(backend);
  }

  /** Keeps so much less free of each place, nothing where it kept less; returns whether anything is free of that. */
  #free(hold: OpenHold<D>, amounts: Float64Array): boolean {
    const taken = this.#taken;
    if (!this.#kept.takeOut(hold.start, amounts, taken)) return false;
    this.#parts.periods.free(hold.cells, hold.row, taken);
    return true;
  }

  #keptOf({ state, start }: OpenHold<D>, place: number): number {
    return state === "open" ? this.#kept.of(start, place) : 0;
  }

  #allOf(hold: OpenHold<D>): Float64Array {
    return Float64Array.from(this.#parts.dimensions, (_, place) => this.#keptOf(hold, place));
  }

  #assertCountable(hold: OpenHold<D>, amounts: Float64Array): void {
    const { dimensions, periods } = this.#parts;
    const place = periods.tooLarge(hold.cells, this.#rowOf(hold), amounts);
    if (place < 0) return;
    const dimension = dimensions[place] as D;
    throw new AmountError(hold.backend, dimension, amounts[place], "would take the total past 2^53-1");
  }

  #tick(): void {
    this.#isTicking = true;
    this.#parts.clock.after(TICK_MS, () => {
      this.#ticks += 1;
      this.#expire();
      if (this.#open.isEmpty) this.#isTicking = false;
      else this.#tick();
    });
  }

  #expire(): void {
    for (const hold of this.#open.list()) {
      if (hold.ends > this.#ticks) continue;
      this.end(hold, "expired");
      this.#expired.emit(hold);
    }
  }
}

/** One that expired can still be settled: work that was done is counted. */
function hasEnded({ state }: { readonly state: Hold["state"] }): boolean {
  return state === "settled" || state === "voided";
}
