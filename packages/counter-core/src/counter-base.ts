import type { PeriodCells } from "./cells/cells.ts";
import { keepTime } from "./cells/keep-time.ts";
import type { CounterBackend, HoldOptions, Limits, Standing } from "./counter.ts";
import { type CounterParts, HeldBackends } from "./held-backends.ts";
import type { Hold } from "./holds/hold.ts";
import { Holds } from "./holds/holds.ts";
import { DrainConflictError } from "./model/errors.ts";
import type { PeriodUsage, StoredUsage, Tally, Usage } from "./model/usage.ts";
import { capsOf, UNLIMITED } from "./request/caps.ts";
import { Recorder } from "./request/recorder.ts";
import { overflow } from "./request/refuse-overflow.ts";
import type { Event } from "./util/emitter.ts";

/**
 * A counter in the memory of this process, whatever its cells are made of and with whomever it shares: what is asked by name on
 * the request path, and the hop to the store.
 */
export abstract class CounterBase<D extends string> extends HeldBackends<D> implements CounterBackend<D> {
  readonly #recorder: Recorder<D>;
  readonly #holds: Holds<D>;
  #drainedBy: "swap" | "tallies" | undefined;

  constructor(parts: CounterParts<D>) {
    super(parts);
    this.#recorder = new Recorder(this.dimensions, this.rows, this.periods);
    const { dimensions, periods, clock } = this;
    this.#holds = new Holds({
      dimensions,
      periods,
      clock,
      recorder: this.#recorder,
      noRoom: (row, amounts) => this.noRoom(row, amounts),
    });
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
    if (this.periods.tryAddAll(row, amounts)) return true;
    this.noRoom(row, amounts);
    return false;
  }

  fits(backend: string, usage: Partial<Usage<D>>): boolean {
    const recorder = this.#recorder;
    const row = recorder.rowOf(backend);
    const amounts = recorder.read(backend, usage);
    if (this.periods.fits(row, amounts)) return true;
    this.noRoom(row, amounts);
    return false;
  }

  findRow(backend: string): number | undefined {
    return this.rows.find(backend);
  }

  fitsRow(row: number, amounts: Float64Array): boolean {
    if (this.periods.fits(row, amounts)) return true;
    this.noRoom(row, amounts);
    return false;
  }

  tryAddRow(row: number, amounts: Float64Array): boolean {
    if (this.periods.tryAddAll(row, amounts)) return true;
    this.noRoom(row, amounts);
    return false;
  }

  takeBackRow(row: number, amounts: Float64Array): void {
    this.periods.takeBack(row, amounts);
  }

  addRow(row: number, amounts: Float64Array): boolean {
    return this.periods.addAll(row, amounts);
  }

  hold(backend: string, usage: Partial<Usage<D>>, options?: HoldOptions): Hold<D> | undefined {
    const recorder = this.#recorder;
    const row = recorder.rowOf(backend);
    const amounts = recorder.read(backend, usage);
    // fault: refuses to count while Redis is away
    const hold = this.#holds.open(backend, row, amounts, options);
    if (hold === undefined) this.noRoom(row, amounts);
    return hold;
  }

  heldAll(backend: string): Usage<D> {
    const row = this.#recorder.rowOf(backend);
    const cells = this.periods.current();
    return this.usage((place) => {
      const cell = this.cellOf(row, place);
      return cells.held(cell) + cells.heldElsewhere(cell);
    });
  }

  excessAll(backend: string): Usage<D> {
    const row = this.#recorder.rowOf(backend);
    const cells = this.periods.current();
    return this.usage((place) => cells.excess(this.cellOf(row, place)));
  }

  /** Each hold that expires. */
  get onHoldExpired(): Event<Hold<D>> {
    return this.#holds.onExpired;
  }

  /** Each backend of which something is free again. */
  get onFreed(): Event<string> {
    return this.#holds.onFreed;
  }

  /** Nobody else uses what is counted here. */
  standing(backend: string): Standing<D> {
    this.#recorder.rowOf(backend);
    return { mode: "exact" };
  }

  limitsOf(backend: string): Limits<D> {
    const start = this.#recorder.rowOf(backend) * this.dimensions.length;
    const limited = this.dimensions.flatMap((dimension, place) => {
      const cap = this.periods.limit(start + place);
      return cap === UNLIMITED ? [] : [[dimension, cap] as const];
    });
    return Object.fromEntries(limited) as Limits<D>;
  }

  readLimits(backend: string, out: Float64Array): void {
    const size = this.dimensions.length;
    const start = this.#recorder.rowOf(backend) * size;
    for (let place = 0; place < size; place++) {
      const cap = this.periods.limit(start + place);
      out[place] = cap === UNLIMITED ? Number.POSITIVE_INFINITY : cap;
    }
  }

  setLimits(backend: string, limits: Limits<D>): void {
    const row = this.#recorder.rowOf(backend);
    this.setCaps(row, capsOf(this.dimensions, backend, limits));
    this.#holds.tellFreed(backend);
  }

  creditAll(backend: string): Usage<D> {
    const row = this.#recorder.rowOf(backend);
    const cells = this.periods.current();
    return this.usage((place) => {
      const cell = this.cellOf(row, place);
      return this.periods.limit(cell) === UNLIMITED ? 0 : cells.credit(cell);
    });
  }

  setCredit(period: string, backend: string, amounts: Partial<Usage<D>>): void {
    this.takeOverTime();
    this.#recorder.rowOf(backend);
    this.#recorder.read(backend, amounts); // throws before anything changes
    const cells = this.periods.all().find((held) => held.period.key === period);
    if (cells === undefined) return;
    this.setCredits(cells, backend, amounts);
    this.#holds.tellFreed(backend);
  }

  isAnyAt(ratio: number): boolean {
    return this.periods.isAnyAt(ratio);
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
        throw overflow(backend, dimension, baseline[place]);
      }
      return (baseline[place] as number) - taken;
    });
    others.forEach((amount, place) => void this.store.setOthers(cells, this.cellOf(row, place), amount));
    this.#holds.tellFreed(backend);
  }

  async tallies(): Promise<readonly Tally[]> {
    this.drainBy("tallies");
    this.takeOverTime();
    return this.store.tallies();
  }

  confirm(stored: readonly Tally[]): void {
    this.store.confirmAll(stored);
  }

  unconfirm(): void {
    this.drainBy("tallies");
    for (const cells of this.periods.all()) {
      for (let row = 0; row < this.rows.end; row++) if (this.rows.isUsed(row)) this.store.forget(cells, row);
    }
    this.storeLost();
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
      // fault: goes on under the name of what was discarded
      cells.generations.bar(backend);
      for (let place = 0; place < this.dimensions.length; place++) this.clear(cells, this.cellOf(row, place));
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

  protected override periodTurned(): void {
    for (const backend of this.backends()) this.#holds.tellFreed(backend);
  }

  /** There was no room for so much in the current period. On the request path; the amounts are the caller's again afterwards. */
  protected noRoom(_row: number, _amounts: Float64Array): void {}

  /** Something of a backend may be free that was not. */
  protected freed(row: number): void {
    this.#holds.tellFreed(this.rows.nameOf(row));
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
}
