import type { UsageRecorder } from "./counter-backend.ts";
import { AmountError, UnknownBackendError, UnknownDimensionError } from "./errors.ts";
import type { RecordingCells } from "./ledger.ts";
import { assertBackendName, assertDimensionName } from "./names.ts";
import type { Usage } from "./usage.ts";
import { isAmount, paddedLength, UsageReader } from "./usage-reader.ts";

/** Backends and dimensions by name on cells by number. */
export class NamedCells<D extends string> implements UsageRecorder<D> {
  readonly dimensions: readonly D[];
  /** Cells from one row to the next. */
  readonly stride: number;
  readonly #cells: RecordingCells;
  readonly #names: string[] = [];
  #snapshot: readonly string[] | undefined;
  readonly #rows = new Map<string, number>();
  readonly #places: ReadonlyMap<string, number>;
  readonly #reader: UsageReader<D>;
  readonly #amounts: Float64Array;

  constructor(dimensions: readonly D[], names: readonly string[], cells: RecordingCells) {
    this.dimensions = dimensions;
    this.stride = paddedLength(dimensions.length);
    this.#cells = cells;
    this.#places = new Map(dimensions.map((dimension, place) => [dimension, place]));
    this.#reader = new UsageReader(dimensions);
    this.#amounts = new Float64Array(this.stride);
    this.append(names);
  }

  add(backend: string, dimension: D, amount: number): void {
    const cell = this.cellOf(backend, dimension);
    if (!isAmount(amount)) throw new AmountError(backend, dimension, amount);
    if (!this.#cells.add(cell, amount)) throw tooMuch(backend, dimension, amount);
  }

  addAll(backend: string, usage: Partial<Usage<D>>): void {
    const row = this.rowOf(backend);
    const amounts = this.#amounts;
    this.#reader.read(backend, usage, amounts);
    if (!this.#cells.addAll(row, amounts)) this.#refuse(backend, row);
  }

  readTotal(backend: string, out: Float64Array): void {
    this.#cells.readTotal(this.rowOf(backend), this.dimensions.length, out);
  }

  /** The names, in the order in which they were added: a copy that is made anew only after names were added. */
  get names(): readonly string[] {
    this.#snapshot ??= Object.freeze([...this.#names]);
    return this.#snapshot;
  }

  get size(): number {
    return this.#names.length;
  }

  rowOf(backend: string): number {
    const row = this.#rows.get(backend);
    if (row === undefined) throw new UnknownBackendError(backend);
    return row;
  }

  /** The row of a backend that need not be known. */
  findRow(backend: string): number | undefined {
    return this.#rows.get(backend);
  }

  cellOf(backend: string, dimension: D): number {
    const row = this.rowOf(backend);
    const place = this.#places.get(dimension);
    if (place === undefined) throw new UnknownDimensionError(backend, dimension, this.dimensions);
    return row + place;
  }

  /** The amounts of a usage object in dimension order, padded; valid until the next call on this recorder. */
  read(backend: string, usage: Partial<Usage<D>>): Float64Array {
    this.#reader.read(backend, usage, this.#amounts);
    return this.#amounts;
  }

  /** Rows for names that were checked and are not known yet. */
  append(names: readonly string[]): void {
    for (const name of names) {
      this.#rows.set(name, this.#names.length * this.stride);
      this.#names.push(name);
    }
    this.#snapshot = undefined;
  }

  #refuse(backend: string, row: number): never {
    const totals = new Float64Array(this.stride);
    this.#cells.readTotal(row, this.dimensions.length, totals);
    const place = this.#amounts.findIndex((amount, i) => (totals[i] as number) + amount > Number.MAX_SAFE_INTEGER);
    throw tooMuch(backend, this.dimensions[place] ?? "", this.#amounts[place]);
  }
}

/** @throws NameError for a name that is none, RangeError for no names or a repeated one. */
export function checkedDimensions<D extends string>(dimensions: readonly D[]): readonly D[] {
  for (const dimension of dimensions) assertDimensionName(dimension);
  if (dimensions.length === 0) throw new RangeError("dimensions must name at least one dimension, got none");
  if (new Set(dimensions).size !== dimensions.length) {
    throw new RangeError(`dimensions must differ, got ${dimensions.join(", ")}`);
  }
  return Object.freeze([...dimensions]);
}

/** The names once each, in order. @throws NameError for a name that is none, TypeError for one name instead of a list. */
export function checkedNames(names: Iterable<string>): readonly string[] {
  if (typeof names === "string") throw new TypeError(`names must be a list of names, got ${JSON.stringify(names)}`);
  const checked = new Set<string>();
  for (const name of names) {
    assertBackendName(name);
    checked.add(name);
  }
  return [...checked];
}

function tooMuch(backend: string, dimension: string, amount: unknown): AmountError {
  return new AmountError(backend, dimension, amount, "would take the total past 2^53-1");
}
