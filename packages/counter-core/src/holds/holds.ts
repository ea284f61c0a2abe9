import { AT_ONCE, type HoldingPeriods } from "../cells/cells.ts";
import type { HoldOptions } from "../counter.ts";
import type { Clock } from "../model/clock.ts";
import type { Usage } from "../model/usage.ts";
import type { Recorder } from "../request/recorder.ts";
import { overflow } from "../request/refuse-overflow.ts";
import { assertDelay } from "../util/assert-delay.ts";
import { Emitter, type Event } from "../util/emitter.ts";
import type { Hold } from "./hold.ts";
import { KeptAmounts } from "./kept-amounts.ts";
import { OpenHold } from "./open-hold.ts";

/** How exactly holds expire, in milliseconds: never early, and at most so much late. */
const TICK_MS = 1_000;
const DEFAULT_TTL_TICKS = ticksOf(600_000);

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
  readonly #dimensions: readonly D[];
  readonly #periods: HoldingPeriods;
  readonly #recorder: Recorder<D>;
  readonly #clock: Clock;
  readonly #noRoom: HoldsParts<D>["noRoom"];
  readonly #expired = new Emitter<Hold<D>>();
  readonly #freed = new Emitter<string>();
  readonly #kept: KeptAmounts;
  /** Those that are open, each at its slot of what is kept. */
  readonly #open: (OpenHold<D> | undefined)[] = [];
  // Scratch space for the request path, which runs to completion.
  readonly #keptNow: Float64Array;
  /** Ticks of a timer that runs while any hold is open: a hold costs no look at the clock. */
  #ticks = 0;
  #isTicking = false;

  constructor({ dimensions, periods, recorder, clock, noRoom }: HoldsParts<D>) {
    this.#dimensions = dimensions;
    this.#periods = periods;
    this.#recorder = recorder;
    this.#clock = clock;
    this.#noRoom = noRoom;
    this.#kept = new KeptAmounts(dimensions.length);
    this.#keptNow = new Float64Array(Math.max(AT_ONCE, dimensions.length));
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
  open(backend: string, row: number, amounts: Float64Array, options?: HoldOptions): Hold<D> | undefined {
    const ttlTicks = options?.ttlMs === undefined ? DEFAULT_TTL_TICKS : ticksOf(options.ttlMs);
    const periods = this.#periods;
    const cells = periods.current();
    if (!periods.tryKeepFree(cells, row, amounts)) return undefined;
    const slot = this.#kept.take(amounts);
    const hold = new OpenHold(this, backend, row, cells, slot, this.#ticks + 1 + ttlTicks);
    this.#open[slot] = hold;
    cells.openHolds += 1;
    if (!this.#isTicking) this.#tick();
    return hold;
  }

  /** What a hold keeps free, as a usage object. */
  usageOf(hold: OpenHold<D>): Usage<D> {
    const kept = this.#keptBy(hold);
    return Object.fromEntries(this.#dimensions.map((dimension, place) => [dimension, kept[place]])) as Usage<D>;
  }

  /** Something of a backend may be free that was not. */
  tellFreed(backend: string): void {
    if (this.#freed.hasListeners) this.#freed.emit(backend);
  }

  extend(hold: OpenHold<D>, more: Partial<Usage<D>>): boolean {
    const amounts = this.#recorder.read(hold.backend, more);
    if (hold.state !== "open") return false;
    if (!this.#periods.tryKeepFree(hold.cells, hold.row, amounts)) {
      if (hold.cells === this.#periods.current()) this.#noRoom(hold.row, amounts);
      return false;
    }
    this.#kept.add(hold.slot, amounts);
    return true;
  }

  canExtend(hold: OpenHold<D>, more: Partial<Usage<D>>): boolean {
    const amounts = this.#recorder.read(hold.backend, more);
    if (hold.state !== "open" || !this.#periods.tryKeepFree(hold.cells, hold.row, amounts)) return false;
    // At once, so that nobody hears of it.
    this.#periods.free(hold.cells, hold.row, amounts);
    return true;
  }

  shrink(hold: OpenHold<D>, less: Partial<Usage<D>>): void {
    const amounts = this.#recorder.read(hold.backend, less);
    if (hold.state !== "open") return;
    const freed = this.#keptUpTo(hold, amounts);
    this.#kept.takeOut(hold.slot, freed);
    this.#periods.free(hold.cells, hold.row, freed);
    if (this.#freed.hasListeners && isAny(freed)) this.#freed.emit(hold.backend);
  }

  count(hold: OpenHold<D>, part: Partial<Usage<D>>): void {
    const amounts = this.#recorder.read(hold.backend, part);
    const row = this.#rowOf(hold);
    this.#assertCountable(hold, row, amounts);
    const kept = this.#keptUpTo(hold, amounts);
    this.#periods.countHeld(hold.cells, row, amounts, kept);
    if (hold.state === "open") this.#kept.takeOut(hold.slot, kept);
  }

  assertCountable(hold: OpenHold<D>, part: Partial<Usage<D>>): void {
    const amounts = this.#recorder.read(hold.backend, part);
    this.#assertCountable(hold, this.#rowOf(hold), amounts);
  }

  settle(hold: OpenHold<D>, actual: Partial<Usage<D>> | undefined): void {
    // fault: counts what is settled a second time
    if (hasEnded(hold)) return;
    const used = actual === undefined ? undefined : this.#recorder.read(hold.backend, actual);
    const kept = this.#keptBy(hold);
    const amounts = used ?? kept;
    const row = this.#rowOf(hold);
    this.#assertCountable(hold, row, amounts);
    // fault: counts nothing of what is settled after its time
    this.#periods.countHeld(hold.cells, row, amounts, kept);
    this.#close(hold, "settled");
    if (this.#freed.hasListeners && isAnyLess(amounts, kept)) this.#freed.emit(hold.backend);
  }

  /** Gives back what a hold keeps free. */
  end(hold: OpenHold<D>, state: "voided" | "expired"): void {
    if (hasEnded(hold)) return;
    const kept = this.#keptBy(hold);
    if (hold.state === "open") this.#periods.free(hold.cells, hold.row, kept);
    // Before anybody is told: else whoever waits tries in vain, and there may be thousands.
    // fault: tells that there is room before the hold has ended
    this.#close(hold, state);
    if (this.#freed.hasListeners && isAny(kept)) this.#freed.emit(hold.backend);
  }

  /** Of what the hold kept free, nothing is kept any more. */
  #close(hold: OpenHold<D>, state: "settled" | "voided" | "expired"): void {
    if (hold.state === "open") {
      this.#kept.give(hold.slot);
      this.#open[hold.slot] = undefined;
      hold.cells.openHolds -= 1;
    }
    hold.state = state;
  }

  #assertCountable(hold: OpenHold<D>, row: number, amounts: Float64Array): void {
    const place = this.#periods.tooLarge(hold.cells, row, amounts);
    if (place >= 0) throw overflow(hold.backend, this.#dimensions[place] as D, amounts[place]);
  }

  /** An open hold keeps its backend held; one that expired does not, and its row may be another's. */
  #rowOf({ state, row, backend }: OpenHold<D>): number {
    // fault: counts a late settle in the row that its backend had
    return state === "open" ? row : this.#recorder.rowOf(backend);
  }

  /** What a hold keeps free: nothing once it has ended. Valid until this is asked again. */
  #keptBy({ state, slot }: OpenHold<D>): Float64Array {
    const kept = this.#keptNow;
    if (state === "open") this.#kept.read(slot, kept);
    else kept.fill(0);
    return kept;
  }

  /** So much of the amounts as a hold keeps free. */
  #keptUpTo(hold: OpenHold<D>, amounts: Float64Array): Float64Array {
    const kept = this.#keptBy(hold);
    for (let place = 0; place < kept.length; place++) {
      kept[place] = Math.min(kept[place] as number, amounts[place] as number);
    }
    return kept;
  }

  #tick(): void {
    this.#isTicking = true;
    this.#clock.after(TICK_MS, () => {
      this.#ticks += 1;
      this.#expire();
      if (this.#open.some((hold) => hold !== undefined)) this.#tick();
      else this.#isTicking = false;
    });
  }

  #expire(): void {
    // Whoever is told of one may open and end others.
    for (const hold of [...this.#open]) {
      if (hold?.state !== "open" || hold.ends > this.#ticks) continue;
      this.end(hold, "expired");
      this.#expired.emit(hold);
    }
  }
}

/** One that expired can still be settled: work that was done is counted. */
function hasEnded({ state }: { readonly state: Hold["state"] }): boolean {
  return state === "settled" || state === "voided";
}

function isAny(amounts: Float64Array): boolean {
  return amounts.some((amount) => amount > 0);
}

/** Whether any of the amounts is less than what was kept for it. */
function isAnyLess(amounts: Float64Array, kept: Float64Array): boolean {
  return kept.some((amount, place) => (amounts[place] as number) < amount);
}

/** @throws RangeError for a time that no timer can wait. */
function ticksOf(ttlMs: number): number {
  assertDelay("ttlMs", ttlMs);
  return Math.ceil(ttlMs / TICK_MS);
}
