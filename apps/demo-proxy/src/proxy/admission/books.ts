import type { Hold, HoldOptions, StorageDimension, Usage } from "@usage/counter-core";
import type { ReserveOptions, UsageTracker, WaitOptions } from "@usage/tracker";

/** Where requests of one side are held and counted: that of the backends, or that of the proxy's clients. */
export interface Books {
  /** See `UsageTracker`, which says the same of all three. */
  tryReserve(name: string, usage: Partial<Usage>, options: HoldOptions): Hold | undefined;
  reserve(name: string, usage: Partial<Usage>, options: ReserveOptions): Promise<Hold | undefined>;
  extend(hold: Hold, more: Partial<Usage>, options: WaitOptions): Promise<boolean>;
  /** Whether a hold is of a period that is over, so that what is held from now on is another one's. */
  isOver(hold: Hold): boolean;
  /** What is left beside what is used and held; undefined where there is no limit. */
  roomOf(name: string, dimension: StorageDimension): number | undefined;
  /** Whether not one more is left, whatever of it is only held. */
  isUsedUp(name: string, dimension: StorageDimension): boolean;
}

/** The books of the backends. */
export function booksOf(tracker: UsageTracker): Books {
  return {
    tryReserve: (name, usage, options) => tracker.tryReserve(name, usage, options),
    reserve: (name, usage, options) => tracker.reserve(name, usage, options),
    extend: (hold, more, options) => tracker.extend(hold, more, options),
    isOver: ({ period }) => period.key !== tracker.counter.period().key,
    roomOf: (name, dimension) => tracker.check(name, {}).remaining[dimension],
    isUsedUp: (name, dimension) => tracker.check(name, { [dimension]: 1 }).reason === "limit",
  };
}
