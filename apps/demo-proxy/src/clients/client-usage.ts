import { isDeepStrictEqual } from "node:util";
import {
  type Hold,
  type HoldOptions,
  type Period,
  type StorageDimension,
  UnknownUsageError,
  type Usage,
} from "@usage/counter-core";
import type {
  FlushSchedule,
  ReserveOptions,
  TrackedCounter,
  WaitOptions,
  WindowedDecision,
  WindowedUsage,
  WindowTracker,
} from "@usage/tracker";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { storeErrorOf } from "../counting/ensure-known.ts";
import { type OpenedStore, StoreStartError } from "../counting/open-store.ts";
import { CounterStartError } from "../counting/opened-counter.ts";
import type { Books } from "../proxy/admission/books.ts";
import { Calendars } from "./calendars.ts";
import { accountsOf, type ClientAccount, schemeOf } from "./client-account.ts";
import { CLIENT_WINDOWS, type ClientWindow, STORED_WINDOWS } from "./client-windows.ts";
import { MovedClients, movedBetween } from "./moved-clients.ts";
import { type ClientCounterParts, openClientUsage } from "./open-client-usage.ts";

export interface ClientUsageParts extends ClientCounterParts {
  /** Opens what keeps the counts of clients, once there are any. */
  readonly openStore: () => Promise<OpenedStore>;
}

/** Clients as a configuration has them. */
export type ClientsConfig = Pick<ProxyConfig, "clients" | "plans" | "terms" | "flush">;

/** What a client uses, and is limited to, by window. */
export type ClientDecision = WindowedDecision<StorageDimension, ClientWindow>;

type Usages = WindowedUsage<StorageDimension, ClientWindow>;
type Accounts = Map<string, ClientAccount>;

/**
 * What the proxy's clients use: each is counted by month, and in the windows in which it has limits. All that are configured are
 * held, so no request of theirs waits for the store. Nothing is opened before there are clients.
 */
export class ClientUsage implements Books {
  readonly #parts: ClientUsageParts;
  #store: OpenedStore | undefined;
  #usage: Usages | undefined;
  /** Those that are configured, and those that were and are not let go of yet. */
  #accounts: Accounts = new Map();
  /** While they are brought in: those that are configured next. */
  #next: Accounts | undefined;
  #configured: ReadonlySet<string> = new Set();
  readonly #calendars = new Calendars();
  readonly #moved = new MovedClients();
  /** Where they are others than at the start. */
  readonly #schedules = new Map<object, FlushSchedule>();
  /** How long what is counted may take to be stored. */
  #flushTimeoutMs: number;
  #isTaking = false;
  #isStopped = false;

  constructor(parts: ClientUsageParts) {
    this.#parts = parts;
    this.#flushTimeoutMs = parts.config.flush.timeoutMs;
  }

  /** Undefined before there were any clients. */
  get usage(): Usages | undefined {
    return this.#usage;
  }

  /** How many are configured. */
  get size(): number {
    return this.#configured.size;
  }

  /** Those that are configured, in that order. */
  *accounts(): Generator<ClientAccount> {
    for (const name of this.#configured) {
      // Another configuration may be taken over between two of them.
      const account = this.#accounts.get(name);
      if (account !== undefined) yield account;
    }
  }

  /** That of a client that is configured. */
  accountOf(name: string): ClientAccount | undefined {
    return this.#configured.has(name) ? this.#accounts.get(name) : undefined;
  }

  /**
   * Holds all clients of a configuration, once it is known what was used of them; limits are never open. Resolves to what takes the
   * configuration over, to be called at once; until then nothing changes for requests.
   *
   * @throws StoreStartError, CounterStartError.
   */
  async prepare(config: ClientsConfig): Promise<() => void> {
    const next = accountsOf(config, this.#parts.dimensions, this.#calendars);
    this.#isTaking = true;
    try {
      if (next.size > 0) await this.#hold(next);
    } catch (error) {
      // fault: takes a client into a window without knowing what it used there
      throw startErrorOf(this.#parts.config, error);
    } finally {
      this.#isTaking = false;
    }
    return () => this.#take(next, config);
  }

  async #hold(next: Accounts): Promise<void> {
    // What they used until now is read from the store for the periods that they are in then.
    const areMoved = movedBetween(this.#accounts, next).length > 0;
    // fault: lets who comes into other periods use again what is not stored yet
    if (areMoved) await this.flush();
    this.#usage ??= await this.#open();
    // Which windows a client is in is asked at once, before anything is waited for.
    this.#next = next;
    const waits = this.#usage.ensure(next.keys());
    this.#next = undefined;
    // fault: takes who comes back for known
    if (waits === undefined && !areMoved) return;
    await waits;
    // Where counts are shared, Redis alone is enough for `ensure`: it may have been wiped. Who comes back may be held there still.
    await this.#usage.refresh();
  }

  #take(next: Accounts, { flush }: ClientsConfig): void {
    this.#configured = new Set(next.keys());
    this.#moved.add(movedBetween(this.#accounts, next));
    for (const [name, before] of this.#accounts) {
      const after = next.get(name);
      if (after !== undefined) {
        const { plan, limits, thresholds, calendar } = after;
        Object.assign(before, { plan, limits, thresholds, calendar });
      }
      // The same as before, since requests that run have it. Who is gone is kept until what it used is stored.
      // fault: forgets at once what a client used that is configured no more
      next.set(name, before);
    }
    this.#accounts = next;
    // fault: leaves clients with the limits of before
    this.#usage?.updateLimits(new Map(Array.from(next, ([name, { limits }]) => [name, limits])));
    this.#flushTimeoutMs = flush.timeoutMs;
    for (const { tracker } of this.#usage?.trackers() ?? []) {
      if (isDeepStrictEqual(this.#schedules.get(tracker) ?? this.#parts.config.flush, flush)) continue;
      tracker.flusher.reschedule(flush);
      this.#schedules.set(tracker, flush);
    }
  }

  async #open(): Promise<Usages> {
    this.#store ??= await this.#parts.openStore();
    const usage = await openClientUsage(this.#parts, this.#store, (name, window) => {
      const account = (this.#next ?? this.#accounts).get(name);
      return account && schemeOf(account, window);
    });
    usage.onFlush(() => this.#letGo());
    return usage;
  }

  /** Lets go of clients that are configured no more, once their requests have ended and their counts are stored. */
  #letGo(): void {
    if (this.#isTaking || this.#usage === undefined) return;
    // fault: keeps for good who is in other periods now
    this.#moved.letGo(this, this.#accounts);
    for (const [name, { inFlight }] of this.#accounts) {
      if (this.#configured.has(name) || inFlight > 0 || this.#moved.has(name)) continue;
      if (!this.#usage.release(name)) continue;
      this.#accounts.delete(name);
    }
  }

  tryReserve(name: string, usage: Partial<Usage>, options: HoldOptions): Hold | undefined {
    return this.#opened.tryReserve(name, usage, options);
  }

  reserve(name: string, usage: Partial<Usage>, options: ReserveOptions): Promise<Hold | undefined> {
    return this.#opened.reserve(name, usage, options);
  }

  extend(hold: Hold, more: Partial<Usage>, options: WaitOptions): Promise<boolean> {
    return this.#opened.extend(hold, more, options);
  }

  check(name: string, proposed: Partial<Usage>): ClientDecision {
    return this.#opened.check(name, proposed);
  }

  isOver(hold: Hold): boolean {
    return this.#opened.isOver(hold);
  }

  roomOf(name: string, dimension: StorageDimension): number | undefined {
    let least: number | undefined;
    for (const { remaining } of Object.values(this.check(name, {}).windows)) {
      const room = remaining[dimension];
      if (room !== undefined && room < (least ?? Number.POSITIVE_INFINITY)) least = room;
    }
    return least;
  }

  isUsedUp(name: string, dimension: StorageDimension): boolean {
    return this.check(name, { [dimension]: 1 }).reason === "limit";
  }

  /** The windows in which anybody is counted, the longest first. */
  windows(): readonly ClientWindow[] {
    const open = new Set(this.#usage?.trackers().map(({ window }) => window));
    return CLIENT_WINDOWS.filter((window) => open.has(window));
  }

  /** What a client used in the current period of one of its windows. */
  totalOf(name: string, window: ClientWindow): Usage {
    return this.#opened.tracker(window, name).counter.totalAll(name);
  }

  /** What it is limited to there, with what was granted for that period. */
  limitsOf(name: string, window: ClientWindow): Partial<Usage> {
    return this.#opened.tracker(window, name).counter.limitsOf(name);
  }

  /** The current period of one of a client's windows. */
  periodOf(name: string, window: ClientWindow): Period {
    return this.#opened.tracker(window, name).counter.period();
  }

  /** What of that is not known to be stored. */
  unstoredOf(name: string, window: ClientWindow): Usage {
    return this.#opened.tracker(window, name).counter.loadAll(name);
  }

  /** Whether it is this tracker that counts a client in its window now. */
  isIn(account: ClientAccount, { window, tracker }: WindowTracker<StorageDimension, ClientWindow>): boolean {
    return schemeOf(account, window) !== undefined && this.#opened.tracker(window, account.name) === tracker;
  }

  /** Those that store what they count. */
  storedTrackers(): readonly WindowTracker<StorageDimension, ClientWindow>[] {
    return this.#usage?.trackers().filter(({ window }) => STORED_WINDOWS.includes(window)) ?? [];
  }

  /** One for each window that there is. */
  counters(): readonly TrackedCounter<StorageDimension>[] {
    return this.#usage?.trackers().map(({ tracker }) => tracker.counter) ?? [];
  }

  /** Stores now what is counted. @throws what `WindowedUsage.flush` throws. */
  async flush(): Promise<void> {
    await this.#usage?.flush({ timeoutMs: this.#flushTimeoutMs });
  }

  /** Stores what is left. @throws what `WindowedUsage.close` throws. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    // fault: does not store at last what clients used
    await this.#usage?.close();
  }

  /** Ends the counters and the store, whatever is stored. Does not reject. */
  async close(): Promise<void> {
    const usage = this.#usage;
    if (!this.#isStopped) await usage?.close().catch(() => {});
    for (const { tracker } of usage?.trackers() ?? []) {
      const counter: object = tracker.counter;
      if (Symbol.asyncDispose in counter) await (counter as AsyncDisposable)[Symbol.asyncDispose]();
    }
    await this.#store?.close();
  }

  /** For requests of clients, so there are some. */
  get #opened(): Usages {
    if (this.#usage === undefined) throw new TypeError("there are no clients");
    return this.#usage;
  }
}

function startErrorOf({ store }: Pick<ProxyConfig, "store">, error: unknown): Error {
  const cause = error instanceof UnknownUsageError ? error.cause : error;
  return cause instanceof CounterStartError || cause instanceof StoreStartError ? cause : storeErrorOf(store, error);
}
