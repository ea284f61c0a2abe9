import type { Clock, StoredGrant, Usage, UsageStore } from "@usage/counter-core";
import { grantKey, SerialQueue, untilAborted, withinTime } from "@usage/counter-core/internal";
import { FlushTimeoutError } from "../errors.ts";
import type { TrackedCounter } from "../tracked-counter.ts";
import { type GrantOptions, readGrant } from "./grant-options.ts";
import { storeGrant } from "./store-grant.ts";

/** All of a period are read so often, in milliseconds: what the store has lost, it gets again then. */
const WHOLE_READ_MS = 600_000;

/** What was stored so long before the last that was seen is read again, in milliseconds: grants are not seen in the order of their times. */
const OVERLAP_MS = 300_000;

/** By backend, and then by `grantKey`. */
type KnownGrants = Map<string, Map<string, Known>>;

interface Known {
  readonly grant: StoredGrant;
  /** How many reads had begun when it was learnt. */
  readonly reads: number;
}

export interface GrantBookParts<D extends string> {
  readonly counter: TrackedCounter<D>;
  readonly store: Pick<UsageStore<D>, "grant" | "grants">;
  readonly clock: Clock;
  /** How long storing a grant, and reading those of a period, may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Hears of each backend whose limits are higher now in the period with this key. */
  readonly onRaised: (period: string, backends: readonly string[]) => void;
}

/**
 * The grants of the current period that are known here: they are few. The counter has them as credit, what it holds later as well.
 *
 * What the store does not have any more of a backend that is held, it gets again, as it does with counts.
 */
export class GrantBook<D extends string> {
  readonly #parts: GrantBookParts<D>;
  readonly #reading = new SerialQueue();
  #period = "";
  #known: KnownGrants = new Map();
  #reads = 0;
  /** When all were last read; undefined: they are to be read. */
  #wholeMs: number | undefined;
  #latestMs = 0;

  constructor(parts: GrantBookParts<D>) {
    this.#parts = parts;
  }

  /** What is known to be granted to a backend, by dimension; undefined: nothing. */
  creditOf(period: string, backend: string): Partial<Usage<D>> | undefined {
    const known = period === this.#period ? this.#known.get(backend) : undefined;
    return known && this.#sum(Array.from(known.values(), ({ grant }) => grant));
  }

  /** See `UsageTracker.grant`. */
  async grant(backend: string, amounts: Partial<Usage<D>>, options: GrantOptions): Promise<boolean> {
    const { counter, store, clock, timeoutMs } = this.#parts;
    const grant = readGrant(counter, backend, amounts, options);
    const { isNew, grant: stored } = await storeGrant(store, grant, clock, timeoutMs);
    this.#add(stored);
    return isNew;
  }

  /** What is granted in a period, by backend, with all that is stored of it by now. @throws FlushTimeoutError. */
  credits(period: string): Promise<ReadonlyMap<string, Partial<Usage<D>>>> {
    const { clock, timeoutMs } = this.#parts;
    const late = (): Error => new FlushTimeoutError(timeoutMs, "reading the grants");
    return withinTime(clock, timeoutMs, late, (signal) => this.#credits(period, signal));
  }

  async #credits(period: string, signal: AbortSignal): Promise<ReadonlyMap<string, Partial<Usage<D>>>> {
    const { counter, store } = this.#parts;
    const isCurrent = period === counter.period().key;
    // fault: tells of thresholds without asking for what was granted
    if (isCurrent) await this.read(signal);
    // The period may have changed with that.
    const isKnown = isCurrent && period === this.#period;
    // fault: takes what was granted for a period that is over for nothing
    const grants = isKnown ? this.#all() : await untilAborted(Promise.resolve(store.grants?.({ period })), signal);
    return new Map(
      Array.from(
        Map.groupBy(grants ?? [], ({ backend }) => backend),
        ([backend, granted]) => [backend, this.#sum(granted)],
      ),
    );
  }

  /** A grant is stored: it is part of the limits from now on, where its period is the current one. */
  #add(grant: StoredGrant): void {
    const { key } = this.#parts.counter.period();
    if (grant.period !== key) return;
    this.#turnTo(key);
    this.#learn([grant]);
  }

  /** All are read the next time: the store may not have any more what it had. */
  restart(): void {
    this.#wholeMs = undefined;
  }

  /** `read`, where nothing was read yet of the current period. */
  async load(signal: AbortSignal): Promise<void> {
    if (!this.#isLoaded()) await this.#reading.run(async () => this.#isLoaded() || this.#read(signal));
  }

  /** Learns what others have granted for the current period. */
  read(signal: AbortSignal): Promise<void> {
    return this.#reading.run(() => this.#read(signal));
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { counter } = this.#parts;
    // Where the period has changed meanwhile, nothing is known of the new one.
    for (let key = ""; key !== counter.period().key; ) {
      key = counter.period().key;
      await this.#readPeriod(key, signal);
    }
  }

  #isLoaded(): boolean {
    const { counter, store } = this.#parts;
    return store.grants === undefined || (this.#wholeMs !== undefined && this.#period === counter.period().key);
  }

  async #readPeriod(period: string, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#parts;
    if (store.grants === undefined) return;
    this.#turnTo(period);
    const begun = clock.now();
    const isWhole = this.#wholeMs === undefined || Math.abs(begun - this.#wholeMs) >= WHOLE_READ_MS;
    this.#reads += 1;
    const before = this.#reads;
    const since = isWhole ? {} : { since: this.#latestMs - OVERLAP_MS };
    const found = await untilAborted(store.grants({ period, ...since }), signal);
    if (this.#period !== period) return;
    this.#learn(found);
    if (!isWhole) return;
    await this.#storeAgain(found, before, signal);
    if (this.#period === period) this.#wholeMs = begun;
  }

  /** What was known before a read of all that did not find it, the store gets again, where its backend is still held. */
  async #storeAgain(found: readonly StoredGrant[], before: number, signal: AbortSignal): Promise<void> {
    const { store, counter } = this.#parts;
    const there = new Set(found.map(grantKey));
    const held = new Set(counter.backends());
    for (const [backend, known] of [...this.#known]) {
      for (const [key, { grant, reads }] of [...known]) {
        // fault: takes a grant back that was made while grants were read
        if (there.has(key) || reads >= before) continue;
        if (!held.has(backend)) {
          known.delete(key);
          continue;
        }
        const { createdAt: _, ...again } = grant;
        // fault: does not store again what the store has lost of grants
        await untilAborted(Promise.resolve(store.grant?.(again)), signal);
      }
      if (known.size === 0) this.#known.delete(backend);
    }
  }

  #turnTo(period: string): void {
    if (period === this.#period) return;
    this.#period = period;
    this.#known = new Map();
    this.#wholeMs = undefined;
    this.#latestMs = 0;
  }

  #learn(grants: readonly StoredGrant[]): void {
    const raised = new Set<string>();
    for (const grant of grants) {
      const { backend } = grant;
      this.#latestMs = Math.max(this.#latestMs, grant.createdAt);
      const known = this.#known.get(backend) ?? new Map<string, Known>();
      const key = grantKey(grant);
      if (known.has(key)) continue;
      known.set(key, { grant, reads: this.#reads });
      this.#known.set(backend, known);
      raised.add(backend);
    }
    if (raised.size === 0) return;
    const { counter, onRaised } = this.#parts;
    for (const backend of raised) {
      const credit = this.creditOf(this.#period, backend);
      if (credit !== undefined && counter.has(backend)) counter.setCredit(this.#period, backend, credit);
    }
    onRaised(this.#period, [...raised]);
  }

  #all(): readonly StoredGrant[] {
    return Array.from(this.#known.values(), (known) => Array.from(known.values(), ({ grant }) => grant)).flat();
  }

  #sum(grants: readonly StoredGrant[]): Partial<Usage<D>> {
    const credit: Partial<Record<D, number>> = {};
    for (const { amounts } of grants) {
      for (const dimension of this.#parts.counter.dimensions) {
        if (!Object.hasOwn(amounts, dimension)) continue;
        const sum = (credit[dimension] ?? 0) + (amounts[dimension] as number);
        credit[dimension] = Math.min(Number.MAX_SAFE_INTEGER, sum);
      }
    }
    return credit as Partial<Usage<D>>;
  }
}
