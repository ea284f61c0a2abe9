import { raisedBy, UNLIMITED } from "../request/caps.ts";
import { AT_ONCE } from "./cells.ts";
import { type CellsShape, grown, type HeapCells } from "./heap-cells.ts";

/**
 * The most that the total of each cell may become now: its limit, with what was granted, less what holds keep free. In exact mode what
 * others have and the own ceiling, less what own holds keep free. So one comparison admits in both.
 */
export class CellCaps {
  /** By cell, of the current period; as long as its totals. */
  values: Float64Array;
  /** Made where caps do not tell the limits: in exact mode, and once others hold anything, or anything was granted. */
  #limits: Float64Array | undefined;
  readonly #isExact: boolean;
  #current: HeapCells;

  constructor(current: HeapCells, { rows, size, isExact = false }: CellsShape) {
    this.values = new Float64Array(rows * size + AT_ONCE).fill(UNLIMITED);
    this.#isExact = isExact;
    if (isExact) this.#limits = Float64Array.from(this.values);
    this.#current = current;
  }

  /** The limit of the current period. */
  limit(cell: number): number {
    return raisedBy(this.#current.credit(cell), this.#baseLimit(cell));
  }

  setLimit(cell: number, limit: number): void {
    if (this.#limits !== undefined) this.#limits[cell] = limit;
    this.values[cell] = this.#capOf(this.#current, cell, limit);
  }

  /** That of any period. */
  of(cells: HeapCells, cell: number): number {
    return this.#capOf(cells, cell, this.#baseLimit(cell));
  }

  /** What a cell's cap follows from has changed. */
  follow(cells: HeapCells, cell: number): void {
    if (cells === this.#current) this.values[cell] = this.of(cells, cell);
  }

  /** From now on caps do not tell the limits: to be called before anything is granted, or held elsewhere. */
  keepLimits(): void {
    this.#limits ??= this.values.map((_, cell) => this.#baseLimit(cell));
  }

  /** Another period is the current one. */
  turn(next: HeapCells): void {
    // What either of them holds, or may use, is in the caps.
    const areOther = this.#limits !== undefined || this.#current.openHolds + next.openHolds > 0;
    // fault: a month begins with what was granted for the one before
    const limits = areOther ? this.values.map((_, cell) => this.#baseLimit(cell)) : undefined;
    this.#current = next;
    limits?.forEach((limit, cell) => void this.setLimit(cell, limit));
  }

  /** Whether any total has reached this part of its limit, less what is held, where that leaves anything to use. */
  isAnyAt(ratio: number): boolean {
    const { totals } = this.#current;
    const caps = this.#limits ?? this.values;
    for (let cell = 0; cell < caps.length; cell++) {
      let cap = caps[cell] as number;
      if (cap === UNLIMITED) continue;
      if (caps !== this.values) cap = this.limit(cell) - this.#current.held(cell) - this.#current.heldElsewhere(cell);
      if (cap > 0 && (totals[cell] as number) >= ratio * cap) return true;
    }
    return false;
  }

  grow(rows: number, size: number): void {
    const length = rows * size + AT_ONCE;
    this.values = unlimitedBehind(this.values, length);
    this.#limits &&= unlimitedBehind(this.#limits, length);
  }

  /** The limit of every period. */
  #baseLimit(cell: number): number {
    return this.#limits?.[cell] ?? (this.values[cell] as number) + this.#current.held(cell);
  }

  /** @param base - The limit of every period, where that does not follow from the cap. */
  #capOf(cells: HeapCells, cell: number, base: number): number {
    const limit = raisedBy(cells.credit(cell), base);
    const free = limit - cells.held(cell) - cells.heldElsewhere(cell);
    // What is not limited needs nobody's leave.
    if (!this.#isExact || limit === UNLIMITED) return free;
    return Math.min(limit - cells.held(cell), cells.others(cell) + cells.ceiling(cell) - cells.held(cell));
  }
}

/** As many cells as said, of which those that are new have no limit. */
function unlimitedBehind(cells: Float64Array, length: number): Float64Array {
  return grown(cells, length).fill(UNLIMITED, cells.length);
}
