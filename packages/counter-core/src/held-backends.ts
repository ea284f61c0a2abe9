import type { PeriodCells, Periods } from "./cells/cells.ts";
import type { EnsureOptions, OpenCounter, ReadRows } from "./counter.ts";
import { StoreHop } from "./hops/store-hop.ts";
import { Tallies } from "./hops/tallies.ts";
import type { Clock } from "./model/clock.ts";
import { TooManyBackendsError, UnknownUsageError } from "./model/errors.ts";
import { checkedNames } from "./model/names.ts";
import type { Period } from "./model/period.ts";
import { amountOf, type Tally, type Usage } from "./model/usage.ts";
import { capsOf, UNLIMITED } from "./request/caps.ts";
import type { Rows } from "./request/rows.ts";

/** What this run counted of a backend before it let go of it, in dimension order. */
export interface KnownUsage {
  readonly mine: readonly number[];
  /** The part of it that the store has. */
  readonly stored: readonly number[];
}

/** Rows that are looked at in one go for what can be let go of. */
const ROWS_PER_LOOK = 2_000;

export interface CounterParts<D extends string> {
  readonly writer: string;
  readonly dimensions: readonly D[];
  readonly clock: Clock;
  /** With rows for the names that are there from the start: those are only let go of by `release`. */
  readonly rows: Rows;
  readonly periods: Periods;
  readonly maxBackends: number;
  readonly idleMs: number;
}

/** The backends that a counter holds: how they come, how they go, and how they come back as if they had never left. */
export abstract class HeldBackends<D extends string> implements OpenCounter<D> {
  readonly writer: string;
  readonly dimensions: readonly D[];
  protected readonly clock: Clock;
  protected readonly rows: Rows;
  protected readonly periods: Periods;
  protected readonly tallyRows: Tallies;
  protected readonly store: StoreHop;
  readonly #maxBackends: number;
  readonly #idleMs: number;
  /** By row: 1 for that of a name that was given at the start, which is only let go of by `release`. */
  readonly #isGiven: Uint8Array;
  /** For each `ensure` that waits: what was let go of meanwhile. */
  readonly #letGoMeanwhile = new Set<Set<string>>();
  #nextLook = 0;

  constructor(parts: CounterParts<D>) {
    const { writer, dimensions, clock, rows, periods, maxBackends, idleMs } = parts;
    this.writer = writer;
    this.dimensions = dimensions;
    this.clock = clock;
    this.rows = rows;
    this.periods = periods;
    this.tallyRows = new Tallies(writer, dimensions, rows, periods);
    this.store = new StoreHop(rows, periods, this.tallyRows);
    this.#maxBackends = maxBackends;
    this.#idleMs = idleMs;
    this.#isGiven = new Uint8Array(rows.end).fill(1);
  }

  backends(): readonly string[] {
    return this.rows.list();
  }

  has(backend: string): boolean {
    const row = this.rows.find(backend);
    if (row === undefined) return false;
    this.periods.use(row);
    return true;
  }

  period(): Period {
    return this.periods.current().period;
  }

  async ensure(names: Iterable<string>, read: ReadRows, options: EnsureOptions<D> = {}): Promise<void> {
    const missing = checkedNames(names).filter((name) => !this.has(name));
    if (missing.length === 0) return;
    this.#assertRoom(missing);
    const letGo = new Set<string>();
    this.#letGoMeanwhile.add(letGo);
    try {
      for (;;) {
        letGo.clear();
        this.takeOverTime();
        const { start } = this.period();
        const hold = await this.recall(missing, read, options);
        this.takeOverTime();
        // The period may have changed while it was read: nothing is known of the new one.
        if (this.period().start !== start) continue;
        // What was held, counted in and let go of meanwhile may have been read before.
        // fault: goes on from what was read before it was let go of
        if (missing.some((name) => letGo.has(name))) continue;
        this.#assertRoom(missing);
        const { limitsOf, creditOf } = options;
        const caps = limitsOf && missing.map((name) => capsOf(this.dimensions, name, limitsOf(name)));
        hold();
        caps?.forEach((limited, i) => void this.setCaps(this.rows.find(missing[i] as string) as number, limited));
        for (const name of missing) {
          const credit = creditOf?.(this.period().key, name);
          if (credit !== undefined) this.setCredits(this.periods.current(), name, credit);
        }
        return;
      }
    } finally {
      this.#letGoMeanwhile.delete(letGo);
    }
  }

  release(backend: string): boolean {
    const row = this.rows.find(backend);
    if (row === undefined) return true;
    if (!this.canLetGo(row)) return false;
    this.#forget(row);
    return true;
  }

  /** Takes over the time; returns the milliseconds until it wants to know again. */
  advance(nowMs: number): number {
    const untilNext = this.#turn(nowMs);
    this.#letIdleGo(nowMs);
    return untilNext;
  }

  /**
   * Finds out what is known of backends that are not held, and returns what holds them, to be called at once. Another one who
   * asked may have been faster.
   */
  protected async recall(names: readonly string[], read: ReadRows, options: EnsureOptions<D>): Promise<() => void> {
    const { whenUnknown = "reject" } = options;
    let rows: readonly Tally[] | undefined;
    try {
      rows = await read(this.period().key, names);
    } catch (error) {
      if (whenUnknown === "reject") throw new UnknownUsageError(names, error);
    }
    const byName = Map.groupBy(rows ?? [], ({ backend }) => backend);
    return () => {
      for (const name of names) {
        if (this.rows.find(name) !== undefined) continue;
        const ofBackend = byName.get(name) ?? [];
        const mine = this.amountsOf(ofBackend.find(({ writer }) => writer === this.writer)?.usage);
        const row = this.admit(name, rows && { mine, stored: mine });
        // fault: holds a backend without what others had stored of it
        this.store.raiseBy(this.periods.current(), row, ofBackend);
      }
    };
  }

  /**
   * Holds a backend. What this run counted of it in the current period before it let go of it goes on, where that is known;
   * otherwise it counts under a new generation of its name, so that nothing hides behind what it counted before.
   */
  protected admit(name: string, known: KnownUsage | undefined): number {
    this.periods.reserve(this.rows.size + 1);
    const row = this.rows.add(name);
    this.periods.use(row);
    const current = this.periods.current();
    const goesOn = known !== undefined && current.generations.mayGoOn(name);
    for (const cells of this.periods.all()) {
      // Of a period that is over nobody asks what this run has counted there before it let go of the backend.
      if (cells === current && goesOn) cells.generations.reset(row);
      else cells.generations.renew(row, this.periods.newGeneration());
    }
    if (!goesOn) return row;
    // fault: takes up at zero what it had counted
    known.mine.forEach((amount, place) => {
      if (amount === 0) return;
      const cell = this.cellOf(row, place);
      current.setMine(cell, amount);
      current.takenUp.set(cell, amount);
    });
    this.store.confirm(current, row, (place) => known.stored[place] as number);
    return row;
  }

  /** The amounts of a usage object that was stored, in dimension order. */
  protected amountsOf(usage: Tally["usage"] = {}): readonly number[] {
    return this.dimensions.map((dimension) => amountOf(usage, dimension));
  }

  /** The store has lost something that it had taken. What is ours is sent again by itself. */
  protected storeLost(): void {}

  /** Whether nothing would be lost with a row. */
  protected canLetGo(row: number): boolean {
    // fault: lets go of what is not stored
    return this.periods.all().every((cells) => !this.store.isBehind(cells, row) && !this.#isAnyHeld(cells, row));
  }

  protected letGo(row: number): void {
    for (const cells of this.periods.all()) {
      for (const { due } of cells.hops) due.delete(row);
      cells.generations.reset(row);
      for (let place = 0; place < this.dimensions.length; place++) {
        const cell = this.cellOf(row, place);
        this.clear(cells, cell);
        cells.hops.forEach((_, hop) => void cells.setOthers(hop, cell, 0));
        this.periods.setCredit(cells, cell, 0);
        this.periods.setLimit(cell, UNLIMITED);
      }
    }
    this.rows.delete(this.rows.nameOf(row));
  }

  protected cellOf(row: number, place: number): number {
    return row * this.dimensions.length + place;
  }

  /** Off the request path a clock call costs nothing, and a period that just ended is noticed at once. */
  protected takeOverTime(): void {
    this.#turn(this.clock.now());
  }

  /** Another period has become the current one. */
  protected periodTurned(): void {}

  #turn(nowMs: number): number {
    const before = this.periods.current();
    const untilNext = this.periods.advance(nowMs);
    const current = this.periods.current();
    if (current === before) return untilNext;
    // What is stored of it was let go of as well, and nothing of it need change.
    // fault: knows nothing of a month that it let go of and into which the clock steps back
    if (current.generations.allBeganAgain) {
      for (const name of this.rows.list()) current.generations.unread.add(this.rows.find(name) as number);
    }
    this.periodTurned();
    return untilNext;
  }

  /** Forgets what this run counted in a cell. */
  protected clear(cells: PeriodCells, cell: number): void {
    cells.setMine(cell, 0);
    cells.takenUp.delete(cell);
    for (const { confirmed } of cells.hops) confirmed[cell] = 0;
  }

  protected setCaps(row: number, caps: Float64Array): void {
    caps.forEach((cap, place) => void this.periods.setLimit(this.cellOf(row, place), cap));
  }

  protected setCredits(cells: PeriodCells, backend: string, credit: Partial<Usage<D>>): void {
    const amounts: Readonly<Record<string, number | undefined>> = credit;
    const row = this.rows.find(backend) as number;
    this.dimensions.forEach((dimension, place) => {
      this.periods.setCredit(cells, this.cellOf(row, place), amounts[dimension] ?? 0);
    });
  }

  #isAnyHeld(cells: PeriodCells, row: number): boolean {
    return cells.openHolds > 0 && this.dimensions.some((_, place) => cells.held(this.cellOf(row, place)) !== 0);
  }

  /** Whether as many more may be held. */
  #assertRoom(names: readonly string[]): void {
    const added = names.filter((name) => this.rows.find(name) === undefined);
    const room = this.#maxBackends - this.rows.size;
    const refused = added[room];
    if (refused !== undefined) throw new TooManyBackendsError(refused, this.#maxBackends, room);
  }

  #forget(row: number): void {
    const name = this.rows.nameOf(row);
    for (const names of this.#letGoMeanwhile) names.add(name);
    if (row < this.#isGiven.length) this.#isGiven[row] = 0;
    this.letGo(row);
  }

  /** A few rows at each look at the clock: those that nobody has used for a while, and of which nothing would be lost. */
  #letIdleGo(nowMs: number): void {
    const before = (nowMs - this.#idleMs) / 1_000;
    const { end } = this.rows;
    if (this.#nextLook >= end) this.#nextLook = 0;
    const until = Math.min(end, this.#nextLook + ROWS_PER_LOOK);
    for (; this.#nextLook < until; this.#nextLook++) {
      const row = this.#nextLook;
      if (!this.rows.isUsed(row) || this.#isGiven[row] === 1) continue;
      if (this.periods.usedAt(row) < before && this.canLetGo(row)) this.#forget(row);
    }
  }
}
