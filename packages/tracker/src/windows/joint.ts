import type { Clock, Hold, Usage } from "@usage/counter-core";
import type { OpenUsage } from "../open-usage.ts";
import { Reservations } from "../reservations.ts";
import { decideAll, type WindowedDecision } from "./decide-all.ts";
import { JointCounter } from "./joint-counter.ts";
import { JointHold } from "./joint-hold.ts";

/** The trackers that a backend is in, one for each window, as one. */
export class Joint<D extends string, W extends string> {
  /** Those that the backend is counted in. */
  readonly windows: readonly W[];
  /** In the order of the windows. */
  readonly trackers: readonly OpenUsage<D>[];
  readonly counter: JointCounter<D>;
  /** Those that must fit in all of them. */
  readonly reservations: Reservations<D>;

  constructor(windows: readonly W[], trackers: readonly OpenUsage<D>[], clock: Clock) {
    const counters = trackers.map(({ counter }) => counter);
    this.trackers = trackers;
    this.counter = new JointCounter(counters);
    this.windows = windows;
    this.reservations = new Reservations({
      counter: this.counter,
      clock,
      isUsedUp: (backend, usage) => this.check(backend, usage).reason === "limit",
      isOver: (hold) => this.isOver(hold),
    });
  }

  check(backend: string, proposed: Partial<Usage<D>>): WindowedDecision<D, W> {
    return decideAll(this.windows, (_, index) => (this.trackers[index] as OpenUsage<D>).check(backend, proposed));
  }

  /** Whether one of the hold's periods is over. */
  isOver(hold: Hold<D>): boolean {
    const periods = hold instanceof JointHold ? hold.periods : [];
    return periods.some(({ key }, window) => key !== this.trackers[window]?.counter.period().key);
  }
}
