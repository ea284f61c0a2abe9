import type { Clock, Hold, Usage } from "@usage/counter-core";
import type { OpenUsage } from "../open-usage.ts";
import { type ReserveOptions, WaitingRoom, type WaitOptions } from "../waiting-room.ts";
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
  readonly #waitingRoom: WaitingRoom;

  constructor(windows: readonly W[], trackers: readonly OpenUsage<D>[], clock: Clock) {
    const counters = trackers.map(({ counter }) => counter);
    this.trackers = trackers;
    this.counter = new JointCounter(counters);
    this.windows = windows;
    this.#waitingRoom = new WaitingRoom(this.counter.onFreed, clock);
  }

  check(backend: string, proposed: Partial<Usage<D>>): WindowedDecision<D, W> {
    return decideAll(this.windows, (_, index) => (this.trackers[index] as OpenUsage<D>).check(backend, proposed));
  }

  reserve(backend: string, usage: Partial<Usage<D>>, options: ReserveOptions): Promise<Hold<D> | undefined> {
    const take = (): Hold<D> | undefined => this.counter.hold(backend, usage, options);
    const isHopeless = (): boolean => this.#isUsedUp(backend, usage);
    return this.#waitingRoom.take(backend, { take, isHopeless }, options);
  }

  async extend(hold: Hold<D>, more: Partial<Usage<D>>, options: WaitOptions): Promise<boolean> {
    const take = (): true | undefined => (hold.extend(more) ? true : undefined);
    // Of a period that is over, nothing more will be given back or granted.
    const isHopeless = (): boolean => {
      return hold.state !== "open" || this.isOver(hold) || this.#isUsedUp(hold.backend, more);
    };
    return (await this.#waitingRoom.take(hold.backend, { take, isHopeless }, options)) ?? false;
  }

  /** What was used already leaves no room however long one waits. */
  #isUsedUp(backend: string, usage: Partial<Usage<D>>): boolean {
    return this.check(backend, usage).reason === "limit";
  }

  /** Whether one of the hold's periods is over. */
  isOver(hold: Hold<D>): boolean {
    const periods = hold instanceof JointHold ? hold.periods : [];
    return periods.some(({ key }, window) => key !== this.trackers[window]?.counter.period().key);
  }
}
