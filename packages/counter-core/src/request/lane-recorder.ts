import type { Lane } from "../cells/lane.ts";
import type { HoldOptions, UsageRecorder } from "../counter.ts";
import type { Hold } from "../holds/hold.ts";
import { Holds } from "../holds/holds.ts";
import type { Clock } from "../model/clock.ts";
import type { Usage } from "../model/usage.ts";
import type { Event } from "../util/emitter.ts";
import { Recorder } from "./recorder.ts";
import type { Rows } from "./rows.ts";

/** What a thread records and holds in its lane, by name. */
export class LaneRecorder<D extends string> extends Recorder<D> implements UsageRecorder<D> {
  readonly #lane: Lane;
  readonly #holds: Holds<D>;

  constructor(dimensions: readonly D[], rows: Rows, lane: Lane, clock: Clock) {
    super(dimensions, rows, lane);
    this.#lane = lane;
    this.#holds = new Holds({ dimensions, periods: lane, recorder: this, clock, noRoom: () => {} });
  }

  get onHoldExpired(): Event<Hold<D>> {
    return this.#holds.onExpired;
  }

  tryAddAll(backend: string, usage: Partial<Usage<D>>): boolean {
    const row = this.rowOf(backend);
    return this.#lane.tryAddAll(row, this.read(backend, usage));
  }

  fits(backend: string, usage: Partial<Usage<D>>): boolean {
    const row = this.rowOf(backend);
    return this.#lane.fits(row, this.read(backend, usage));
  }

  hold(backend: string, usage: Partial<Usage<D>>, options?: HoldOptions): Hold<D> | undefined {
    const row = this.rowOf(backend);
    return this.#holds.open(backend, row, this.read(backend, usage), options);
  }
}
