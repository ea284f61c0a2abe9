import { AT_ONCE, type RecordingCells } from "../cells/cells.ts";
import { AmountError, UnknownBackendError, UnknownDimensionError } from "../model/errors.ts";
import { isAmount, type Usage } from "../model/usage.ts";
import { overflow, refuseOverflow } from "./refuse-overflow.ts";
import type { Rows } from "./rows.ts";
import { UsageReader } from "./usage-reader.ts";

/** Backends and dimensions by name on cells by number: names are looked up and amounts checked here, once for every call. */
export class Recorder<D extends string> {
  readonly dimensions: readonly D[];
  readonly #rows: Rows;
  readonly #cells: RecordingCells;
  readonly #places: ReadonlyMap<string, number>;
  readonly #reader: UsageReader<D>;
  // Scratch space for the request path, which runs to completion.
  readonly #amounts: Float64Array;
  readonly #totals: Float64Array;

  constructor(dimensions: readonly D[], rows: Rows, cells: RecordingCells) {
    this.dimensions = dimensions;
    this.#rows = rows;
    this.#cells = cells;
    this.#places = new Map(dimensions.map((dimension, place) => [dimension, place]));
    this.#reader = new UsageReader(dimensions);
    this.#amounts = new Float64Array(Math.max(AT_ONCE, dimensions.length));
    this.#totals = new Float64Array(dimensions.length);
  }

  add(backend: string, dimension: D, amount: number): void {
    const row = this.rowOf(backend);
    const place = this.placeOf(backend, dimension);
    if (!isAmount(amount)) throw new AmountError(backend, dimension, amount);
    if (!this.#cells.add(row, place, amount)) throw overflow(backend, dimension, amount);
  }

  addAll(backend: string, usage: Partial<Usage<D>>): void {
    const row = this.rowOf(backend);
    this.#reader.read(backend, usage, this.#amounts);
    if (!this.#cells.addAll(row, this.#amounts)) this.#refuseOverflow(backend, row);
  }

  readTotal(backend: string, out: Float64Array): void {
    this.#cells.readTotal(this.rowOf(backend), out);
  }

  rowOf(backend: string): number {
    const row = this.#rows.find(backend);
    if (row === undefined) throw new UnknownBackendError(backend);
    return row;
  }

  placeOf(backend: string, dimension: D): number {
    const place = this.#places.get(dimension);
    if (place === undefined) throw new UnknownDimensionError(backend, dimension, this.dimensions);
    return place;
  }

  /** The amounts of a usage object in dimension order; valid until the next call on this recorder. */
  read(backend: string, usage: Partial<Usage<D>>): Float64Array {
    this.#reader.read(backend, usage, this.#amounts);
    return this.#amounts;
  }

  #refuseOverflow(backend: string, row: number): void {
    this.#cells.readTotal(row, this.#totals);
    refuseOverflow(this.dimensions, backend, this.#totals, this.#amounts);
  }
}
