import type { PeriodCells, Periods } from "./cells/cells.ts";
import { keepTime } from "./cells/keep-time.ts";
import type { CounterBackend, EnsureOptions, Limits, ReadRows } from "./counter.ts";
import { StoreHop } from "./hops/store-hop.ts";
import { Tallies } from "./hops/tallies.ts";
import type { Clock } from "./model/clock.ts";
import { AmountError, DrainConflictError, TooManyBackendsError, UnknownUsageError } from "./model/errors.ts";
import { checkedNames } from "./model/names.ts";
import type { Period } from "./model/period.ts";
import { amountOf, type PeriodUsage, type StoredUsage, type Tally, type Usage } from "./model/usage.ts";
import { capsOf, UNLIMITED } from "./request/caps.ts";
import { Recorder } from "./request/recorder.ts";
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

/**
 * A counter in the memory of this process, whatever its cells are made of and with whomever it shares: names, limits, the hop
 * to the store, and which backends are held.
 */
export abstract class CounterBase<D extends string> implements CounterBackend<D> {
  readonly writer: string;
  readonly dimensions: readonly D[];
  protected readonly clock: Clock;
  protected readonly rows: Rows;
  protected readonly periods: Periods;
  protected readonly tallyRows: Tallies;
  protected readonly store: StoreHop;
  readonly #recorder: Recorder<D>;
  readonly #maxBackends: number;
  readonly #idleMs: number;
  /** By row: 1 for that of a name that was given at the start, which is only let go of by `release`. */
  readonly #isGiven: Uint8Array;
  /** For each `ensure` that waits: what was let go of meanwhile. */
  readonly #letGoMeanwhile = new Set<Set<string>>();
  #nextLook = 0;
  #drainedBy: "swap" | "tallies" | undefined;

  constructor(parts: CounterParts<D>) {
    const { writer, dimensions, clock, rows, periods, maxBackends, idleMs } = parts;
    this.writer = writer;
    this.dimensions = dimensions;
    this.clock = clock;
    this.rows = rows;
    this.periods = periods;
    this.tallyRows = new Tallies(writer, dimensions, rows, periods);
    this.store = new StoreHop(rows, periods, this.tallyRows);
    this.#recorder = new Recorder(dimensions, rows, periods);
    this.#maxBackends = maxBackends;
    this.#idleMs = idleMs;
    this.#isGiven = new Uint8Array(rows.end).fill(1);
    keepTime(clock, this);
  }

  add(backend: string, dimension: D, amount: number): void {
    this.#recorder.add(backend, dimension, amount);
  }

  addAll(backend: string, usage: Partial<Usage<D>>): void {
    this.#recorder.addAll(backend, usage);
  }

  readTotal(backend: string, out: Float64Array): void {
    this.#recorder.readTotal(backend, out);
  }

  tryAddAll(backend: string, usage: Partial<Usage<D>>): boolean {
    const recorder = this.#recorder;
    const row = recorder.rowOf(backend);
    const amounts = recorder.read(backend, usage);
    return this.periods.tryAddAll(row, amounts) || this.#refused(backend, row);
  }

  fits(backend: string, usage: Partial<Usage<D>>): boolean {
    const recorder = this.#recorder;
    const row = recorder.rowOf(backend);
    return this.periods.fits(row, recorder.read(backend, usage));
  }

  limitsOf(backend: string): Limits<D> {
    const start = this.#recorder.rowOf(backend) * this.dimensions.length;
    const limited = this.dimensions.flatMap((dimension, place) => {
      const cap = this.periods.cap(start + place);
      return cap === UNLIMITED ? [] : [[dimension, cap] as const];
    });
    return Object.fromEntries(limited) as Limits<D>;
  }

  setLimits(backend: string, limits: Limits<D>): void {
    const row = this.#recorder.rowOf(backend);
    this.#setCaps(row, capsOf(this.dimensions, backend, limits));
  }

  isAnyAt(ratio: number): boolean {
    return this.periods.isAnyAt(ratio);
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

  totalAll(backend: string): Usage<D> {
    const totals = new Float64Array(this.dimensions.length);
    this.#recorder.readTotal(backend, totals);
    return this.usage((place) => totals[place] as number);
  }

  load(backend: string, dimension: D): number {
    const row = this.#recorder.rowOf(backend);
    return this.unstored(row, this.#recorder.placeOf(backend, dimension));
  }

  loadAll(backend: string): Usage<D> {
    const row = this.#recorder.rowOf(backend);
    return this.usage((place) => this.unstored(row, place));
  }

  period(): Period {
    return this.periods.current().period;
  }

  setBaseline(backend: string, usage: Usage<D>): void {
    const row = this.#recorder.rowOf(backend);
    const baseline = this.#recorder.read(backend, usage);
    const cells = this.periods.current();
    const { confirmed } = this.store.of(cells);
    const others = this.dimensions.map((dimension, place) => {
      const cell = this.cellOf(row, place);
      // What was swapped out is the caller's: it is in the baseline, and in what was counted here.
      const taken = this.#drainedBy === "swap" ? (confirmed[cell] as number) : 0;
      if (cells.mine(cell) - taken + (baseline[place] as number) > Number.MAX_SAFE_INTEGER) {
        throw new AmountError(backend, dimension, baseline[place], "would take the total past 2^53-1");
      }
      return (baseline[place] as number) - taken;
    });
    others.forEach((amount, place) => void this.store.setOthers(cells, this.cellOf(row, place), amount));
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
        // The period may have changed while it was read: nothing is known of the new one. And what was held, counted in and let
        // go of meanwhile may have been read before.
        if (this.period().start !== start || missing.some((name) => letGo.has(name))) continue;
        this.#assertRoom(missing);
        const { limitsOf } = options;
        const caps = limitsOf && missing.map((name) => capsOf(this.dimensions, name, limitsOf(name)));
        hold();
        if (caps !== undefined)
          for (const [i, name] of missing.entries()) this.#setCaps(this.rowOf(name), caps[i] as Float64Array);
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

  async tallies(): Promise<readonly Tally[]> {
    this.drainBy("tallies");
    this.takeOverTime();
    return this.store.tallies();
  }

  confirm(stored: readonly Tally[]): void {
    this.store.confirmAll(stored);
  }

  learn(
    period: string,
    stored: ReadonlyMap<string, StoredUsage<D>>,
    asked: readonly string[] = this.backends(),
  ): readonly string[] {
    this.takeOverTime();
    const { wanted, isLost } = this.store.learnAll(period, stored, asked, this.#drainedBy === "swap");
    if (isLost) this.storeLost();
    return wanted;
  }

  async absorb(rows: readonly Tally[]): Promise<void> {
    this.takeOverTime();
    this.store.absorb(rows);
  }

  discard(backend: string): void {
    const row = this.#recorder.rowOf(backend);
    for (const cells of this.periods.all()) {
      cells.generations.renew(row, this.periods.newGeneration());
      cells.generations.bar(backend);
      for (let place = 0; place < this.dimensions.length; place++) this.#clear(cells, this.cellOf(row, place));
    }
  }

  swap(backend: string, dimension: D): number {
    const row = this.#recorder.rowOf(backend);
    const place = this.#recorder.placeOf(backend, dimension);
    this.drainBy("swap");
    return this.periods.all().reduce((sum, cells) => sum + this.take(cells, this.cellOf(row, place)), 0);
  }

  /** `swap` of every dimension, at one instant. */
  swapAll(backend: string): Usage<D> {
    const row = this.#recorder.rowOf(backend);
    this.drainBy("swap");
    const held = this.periods.all();
    return this.usage((place) => held.reduce((sum, cells) => sum + this.take(cells, this.cellOf(row, place)), 0));
  }

  /** `swapAll` of every backend; by period, so that the last counts of a month are known as such. */
  swapAllBackends(): readonly PeriodUsage[] {
    this.drainBy("swap");
    this.takeOverTime();
    return this.periods.all().flatMap((cells) =>
      this.backends().flatMap((backend) => {
        const row = this.#recorder.rowOf(backend);
        const usage = this.usage((place) => this.take(cells, this.cellOf(row, place)));
        return Object.values(usage).some((amount) => amount !== 0)
          ? [{ period: cells.period.key, backend, usage }]
          : [];
      }),
    );
  }

  /** Takes over the time; returns the milliseconds until it wants to know again. */
  advance(nowMs: number): number {
    const untilNext = this.periods.advance(nowMs);
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
        const row = this.hold(name, rows && { mine, stored: mine });
        this.store.raiseBy(this.periods.current(), row, ofBackend);
      }
    };
  }

  /**
   * Holds a backend. What this run counted of it in the current period before it let go of it goes on, where that is known;
   * otherwise it counts under a new generation of its name, so that nothing hides behind what it counted before.
   */
  protected hold(name: string, known: KnownUsage | undefined): number {
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
    return this.periods.all().every((cells) => !this.store.isBehind(cells, row));
  }

  protected letGo(row: number): void {
    for (const cells of this.periods.all()) {
      for (const { due } of cells.hops) due.delete(row);
      cells.generations.reset(row);
      for (let place = 0; place < this.dimensions.length; place++) {
        const cell = this.cellOf(row, place);
        this.#clear(cells, cell);
        cells.hops.forEach((_, hop) => void cells.setOthers(hop, cell, 0));
        this.periods.setCap(cell, UNLIMITED);
      }
    }
    this.rows.delete(this.rows.nameOf(row));
  }

  /** What is counted in a cell of the current period and not known to be stored. */
  protected unstored(row: number, place: number): number {
    const cells = this.periods.current();
    const cell = this.cellOf(row, place);
    return Math.max(0, cells.mine(cell) - (this.store.of(cells).confirmed[cell] as number));
  }

  protected rowOf(backend: string): number {
    return this.#recorder.rowOf(backend);
  }

  protected placeOf(backend: string, dimension: D): number {
    return this.#recorder.placeOf(backend, dimension);
  }

  protected cellOf(row: number, place: number): number {
    return row * this.dimensions.length + place;
  }

  protected usage(amountAt: (place: number) => number): Usage<D> {
    return Object.fromEntries(this.dimensions.map((dimension, place) => [dimension, amountAt(place)])) as Usage<D>;
  }

  protected drainBy(way: "swap" | "tallies"): void {
    this.#drainedBy ??= way;
    if (this.#drainedBy !== way) throw new DrainConflictError(way);
  }

  /** Takes what was counted in a cell and not taken before: a hop that confirms to nobody. */
  protected take(cells: PeriodCells, cell: number): number {
    const { confirmed } = this.store.of(cells);
    const amount = cells.mine(cell) - (confirmed[cell] as number);
    confirmed[cell] = cells.mine(cell);
    return amount;
  }

  /** Off the request path a clock call costs nothing, and a period that just ended is noticed at once. */
  protected takeOverTime(): void {
    this.periods.advance(this.clock.now());
  }

  #clear(cells: PeriodCells, cell: number): void {
    cells.setMine(cell, 0);
    cells.takenUp.delete(cell);
    for (const { confirmed } of cells.hops) confirmed[cell] = 0;
  }

  #setCaps(row: number, caps: Float64Array): void {
    caps.forEach((cap, place) => void this.periods.setCap(this.cellOf(row, place), cap));
  }

  /** Whether as many more may be held. */
  #assertRoom(names: readonly string[]): void {
    const added = names.filter((name) => this.rows.find(name) === undefined);
    const refused = added[this.#maxBackends - this.rows.size];
    if (refused !== undefined) throw new TooManyBackendsError(refused, this.#maxBackends);
  }

  #forget(row: number): void {
    const name = this.rows.nameOf(row);
    for (const names of this.#letGoMeanwhile) names.add(name);
    if (row < this.#isGiven.length) this.#isGiven[row] = 0;
    this.letGo(row);
  }

  /** Where nothing is limited, only the largest number can have been in the way: that is an error, no refusal. */
  #refused(backend: string, row: number): false {
    this.#recorder.refuseOverflow(backend, row);
    return false;
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
