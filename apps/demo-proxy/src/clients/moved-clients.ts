import type { PeriodScheme, StorageDimension } from "@usage/counter-core";
import type { WindowTracker } from "@usage/tracker";
import { type ClientAccount, schemeOf } from "./client-account.ts";
import { CLIENT_WINDOWS, type ClientWindow } from "./client-windows.ts";

type ClientTracker = WindowTracker<StorageDimension, ClientWindow>;

/** Who counts clients. */
export interface CountedClients {
  /** Undefined before there were any clients. */
  readonly usage: { trackers(): readonly ClientTracker[] } | undefined;
  isIn(account: ClientAccount, tracker: ClientTracker): boolean;
}

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

  /** Those of whom no request runs, which would count where it began. */
  letGo(clients: CountedClients, accounts: ReadonlyMap<string, ClientAccount>): void {
    for (const name of this.#names) {
      const account = accounts.get(name);
      if (account === undefined || account.inFlight > 0) continue;
      // All of them, whatever becomes of the first.
      const kept = clients.usage?.trackers().filter((one) => !clients.isIn(account, one) && !one.tracker.release(name));
      if (kept?.length === 0) this.#names.delete(name);
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
