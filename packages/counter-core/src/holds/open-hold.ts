import type { HoldingCells } from "../cells/cells.ts";
import type { Period } from "../model/period.ts";
import type { Usage } from "../model/usage.ts";
import type { Hold } from "./hold.ts";
import type { Holds } from "./holds.ts";

/** A hold as its counter keeps it. */
export class OpenHold<D extends string> implements Hold<D> {
  state: Hold["state"] = "open";
  readonly backend: string;
  readonly row: number;
  readonly cells: HoldingCells;
  /** Where what it keeps free is, while it is open. */
  readonly slot: number;
  /** The tick at which it expires. */
  readonly ends: number;
  readonly #holds: Holds<D>;

  constructor(holds: Holds<D>, backend: string, row: number, cells: HoldingCells, slot: number, ends: number) {
    this.#holds = holds;
    this.backend = backend;
    this.row = row;
    this.cells = cells;
    this.slot = slot;
    this.ends = ends;
  }

  get period(): Period {
    return this.cells.period;
  }

  get usage(): Usage<D> {
    return this.#holds.usageOf(this);
  }

  extend(more: Partial<Usage<D>>): boolean {
    return this.#holds.extend(this, more);
  }

  canExtend(more: Partial<Usage<D>>): boolean {
    return this.#holds.canExtend(this, more);
  }

  shrink(less: Partial<Usage<D>>): void {
    this.#holds.shrink(this, less);
  }

  count(part: Partial<Usage<D>>): void {
    this.#holds.count(this, part);
  }

  assertCountable(part: Partial<Usage<D>>): void {
    this.#holds.assertCountable(this, part);
  }

  settle(actual?: Partial<Usage<D>>): void {
    this.#holds.settle(this, actual);
  }

  void(): void {
    this.#holds.end(this, "voided");
  }

  [Symbol.dispose](): void {
    this.void();
  }
}
