import type { Clock, Event, Hold, HoldOptions, Usage } from "@usage/counter-core";
import { type ReserveOptions, WaitingRoom, type WaitOptions } from "./waiting-room.ts";

/** A counter that keeps usage free, or several as one. */
export interface HoldingCounter<D extends string> {
  /** Undefined where there is no room. */
  hold(backend: string, usage: Partial<Usage<D>>, options?: HoldOptions): Hold<D> | undefined;
  /** Each backend of which something is free again. */
  readonly onFreed: Event<string>;
}

export interface ReservationsParts<D extends string> {
  readonly counter: HoldingCounter<D>;
  readonly clock: Clock;
  /** Whether what was used already leaves no room, however long one waits. */
  readonly isUsedUp: (backend: string, usage: Partial<Usage<D>>) => boolean;
  /** Whether a hold is of a period that is over. */
  readonly isOver: (hold: Hold<D>) => boolean;
}

/** Holds that wait for room: those who came first get it first, for each backend by itself. */
export class Reservations<D extends string> {
  readonly #parts: ReservationsParts<D>;
  readonly #waitingRoom: WaitingRoom;

  constructor(parts: ReservationsParts<D>) {
    this.#parts = parts;
    this.#waitingRoom = new WaitingRoom(parts.counter.onFreed, parts.clock);
  }

  /** See `UsageTracker.reserve`. The caller must not change `usage` while it waits. */
  reserve(backend: string, usage: Partial<Usage<D>>, options: ReserveOptions): Promise<Hold<D> | undefined> {
    const { counter, isUsedUp } = this.#parts;
    const take = (): Hold<D> | undefined => counter.hold(backend, usage, options);
    return this.#waitingRoom.take(backend, { take, isHopeless: () => isUsedUp(backend, usage) }, options);
  }

  /** See `UsageTracker.extend`. The caller must not change `more` while it waits. */
  async extend(hold: Hold<D>, more: Partial<Usage<D>>, options: WaitOptions): Promise<boolean> {
    const { isUsedUp, isOver } = this.#parts;
    const take = (): true | undefined => hold.extend(more) || undefined;
    // Of a period that is over, nothing more will be given back or granted.
    const isHopeless = (): boolean => hold.state !== "open" || isOver(hold) || isUsedUp(hold.backend, more);
    return (await this.#waitingRoom.take(hold.backend, { take, isHopeless }, options)) ?? false;
  }
}
