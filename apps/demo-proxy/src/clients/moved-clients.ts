import type { PeriodScheme, StorageDimension } from "@usage/counter-core";
import type { WindowedUsage } from "@usage/tracker";
import { type ClientAccount, schemeOf } from "./client-account.ts";
import { CLIENT_WINDOWS, type ClientWindow } from "./client-windows.ts";

/**
 * Clients that are in other periods than before, or in a window no more. What counted them there keeps them until their requests have
 * ended and their counts are stored.
 */
export class MovedClients {
  readonly #names = new Set<string>();

  add(names: Iterable<string>): void {
    for (const name of names) this.#names.add(name);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** @param isIdle whether no request of a client runs, which would count where it began. */
  letGo(usage: WindowedUsage<StorageDimension, ClientWindow>, isIdle: (name: string) => boolean): void {
    for (const name of this.#names) {
      if (!isIdle(name)) continue;
      const { windows } = usage.check(name, {});
      // All of them, whatever becomes of the first.
      const kept = usage.trackers().filter(({ window, tracker }) => {
        const isIn = windows[window] !== undefined && usage.tracker(window, name) === tracker;
        return !isIn && !tracker.release(name);
      });
      if (kept.length === 0) this.#names.delete(name);
    }
  }
}

/** The names of those that are in other periods of a window than before, or in it no more. */
export function movedBetween(
  before: ReadonlyMap<string, ClientAccount>,
  next: ReadonlyMap<string, ClientAccount>,
): readonly string[] {
  return Array.from(before.keys()).filter((name) => {
    const [was, is] = [before.get(name), next.get(name)];
    return was && is && CLIENT_WINDOWS.some((window) => leaves(schemeOf(was, window), schemeOf(is, window)));
  });
}

function leaves(was: PeriodScheme | undefined, is: PeriodScheme | undefined): boolean {
  return was !== undefined && was !== is;
}
