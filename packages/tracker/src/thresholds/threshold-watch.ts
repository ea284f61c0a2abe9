import { setImmediate } from "node:timers/promises";
import {
  type Clock,
  type Limits,
  type Mark,
  type StoredUsage,
  UnknownBackendError,
  type Usage,
} from "@usage/counter-core";
import { amountOf, SerialQueue } from "@usage/counter-core/internal";
import type { TrackedCounter } from "../tracked-counter.ts";
import type { UsageChange } from "../usage-change.ts";
import type { UsageTracker } from "../usage-tracker.ts";
import { type Crossing, markOfCrossing } from "./crossing.ts";
import { ToldThresholds } from "./told-thresholds.ts";

/** Backends that are looked at in one go: they hold the event loop for a few milliseconds. */
const BACKENDS_PER_TURN = 500;
const RETRY_MS = 10_000;

export interface ThresholdWatchParts<D extends string> {
  readonly tracker: UsageTracker<D>;
  readonly thresholdsOf: (backend: string) => readonly number[];
  readonly channel: string;
  readonly window: string | undefined;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /** Hears that notices were put into the outbox. */
  readonly onClaimed: () => void;
}

/** By backend: what is stored of it, where that is known; otherwise the store is asked. */
type Touched<D extends string> = Map<string, StoredUsage<D> | undefined>;

/** A backend, and all that is stored of it. */
type Used<D extends string> = readonly [backend: string, usage: Usage<D>];

/**
 * Finds the thresholds that are reached by what is stored, and claims them. Stored totals only grow, so what is reached stays
 * reached, and whoever finds it later claims the same.
 *
 * It looks at backends of which something may have changed, and asks the store for those of them that may have crossed something.
 */
export class ThresholdWatch<D extends string> {
  readonly #parts: ThresholdWatchParts<D>;
  readonly #looks = new SerialQueue();
  readonly #told = new ToldThresholds();
  /** By period: what is to be looked at. */
  #touched = new Map<string, Touched<D>>();
  #isDue = false;
  #listening: Disposable | undefined;
  #cancelRetry = (): void => {};

  constructor(parts: ThresholdWatchParts<D>) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#listening !== undefined) return;
    const { tracker } = this.#parts;
    this.#listening = tracker.onChange((change) => this.#changed(change));
    this.#touch(tracker.counter.period().key, tracker.counter.backends());
  }

  /** Looks a last time at what has changed. */
  async stop(): Promise<void> {
    if (this.#listening === undefined) return;
    this.#listening[Symbol.dispose]();
    this.#listening = undefined;
    this.#cancelRetry();
    // What others store now, nobody here will hear of.
    // fault: does not look at what the last flush has stored
    await this.#looks.run(() => this.#look({ isLast: true }));
  }

  #changed(change: UsageChange<D>): void {
    // What the store may have lost is claimed once more, under the same id; also what only the marks of which are gone.
    // fault: does not claim again what the store has lost
    if (change.kind === "lost" || (change.kind === "read" && change.isWhole)) this.#told.forget();
    if (change.kind === "touched") this.#touch(change.period, change.backends);
    // fault: does not look at what others have stored
    if (change.kind === "read") this.#touch(change.period, change.usage.keys(), change.usage);
  }

  #touch(period: string, backends: Iterable<string>, usage?: ReadonlyMap<string, StoredUsage<D>>): void {
    let touched = this.#touched.get(period);
    if (touched === undefined) {
      touched = new Map();
      this.#touched.set(period, touched);
    }
    // What was touched before may have been stored after this was read.
    for (const backend of backends) touched.set(backend, touched.has(backend) ? undefined : usage?.get(backend));
    this.#lookSoon();
  }

  /** In the event loop's next turn, once for all that changes in this one. */
  #lookSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    void setImmediate().then(() => {
      this.#isDue = false;
      if (this.#listening !== undefined) return this.#looks.run(() => this.#look({ isLast: false }));
    });
  }

  async #look({ isLast }: { readonly isLast: boolean }): Promise<void> {
    const all = this.#touched;
    this.#touched = new Map();
    for (const [period, touched] of all) {
      try {
        await this.#lookAt(period, touched, isLast);
      } catch (error) {
        this.#parts.onError(error);
        // fault: forgets what it could not look at
        if (this.#listening !== undefined) this.#retryLater(period, touched);
      }
    }
  }

  #retryLater(period: string, touched: Touched<D>): void {
    const later = this.#touched.get(period);
    // What it had is stored all the same, but may be more by now.
    this.#touched.set(
      period,
      new Map([...Array.from(touched.keys(), (backend) => [backend, undefined] as const), ...(later ?? [])]),
    );
    this.#cancelRetry();
    this.#cancelRetry = this.#parts.clock.after(RETRY_MS, () => this.#lookSoon());
  }

  async #lookAt(period: string, touched: Touched<D>, isLast: boolean): Promise<void> {
    const { tracker } = this.#parts;
    const read: Used<D>[] = [];
    const unread: string[] = [];
    for (const part of slices([...touched])) {
      for (const [backend, stored] of part) {
        if (stored !== undefined) {
          read.push([backend, stored.all]);
          continue;
        }
        // fault: asks the store for all that was touched
        if (isLast || this.#mayHaveCrossed(period, backend)) unread.push(backend);
      }
      await setImmediate();
    }
    await this.#tell(period, read);
    if (unread.length === 0) return;
    const { usage } = await tracker.store.totals(period, tracker.counter.writer, { backends: unread });
    await this.#tell(
      period,
      Array.from(usage, ([backend, { all }]) => [backend, all]),
    );
  }

  /** Claims what is reached by what was used. */
  async #tell(period: string, used: readonly Used<D>[]): Promise<void> {
    const { tracker } = this.#parts;
    const near: Used<D>[] = [];
    for (const part of slices(used)) {
      near.push(...part.filter(([backend, usage]) => this.#mayReach(period, backend, usage)));
      await setImmediate();
    }
    if (near.length === 0) return;
    // After what was used: whoever used a grant had stored it before.
    const limitsOf = await tracker.readLimits(period);
    for (const part of slices(near)) {
      await this.#claim(part.flatMap(([backend, usage]) => this.#crossings(period, backend, usage, limitsOf)));
    }
  }

  /** `mayReach` by what is counted here, stored or not. Of another period nobody knows. */
  #mayHaveCrossed(period: string, backend: string): boolean {
    const { counter } = this.#parts.tracker;
    if (period !== counter.period().key) return true;
    const total = totalOf(counter, backend);
    return total === undefined || this.#mayReach(period, backend, total);
  }

  /** Whether usage reaches something that is not claimed yet, by the limits that are known here: others of another period are not. */
  #mayReach(period: string, backend: string, used: Usage<D>): boolean {
    const { tracker } = this.#parts;
    if (period !== tracker.counter.period().key) return true;
    return this.#crossings(period, backend, used, (name) => tracker.limitsOf(name)).length > 0;
  }

  /** What usage has reached that is not known to be claimed, in ascending order by dimension. */
  #crossings(
    period: string,
    backend: string,
    used: Usage<D>,
    limitsOf: (backend: string) => Limits<D>,
  ): readonly Crossing<D>[] {
    const { tracker, thresholdsOf, window, onError } = this.#parts;
    try {
      const thresholds = thresholdsOf(backend);
      if (thresholds.length === 0) return [];
      const limits = limitsOf(backend);
      return tracker.counter.dimensions.flatMap((dimension) => {
        const limit = amountOf(limits as Usage<D>, dimension);
        const usage = amountOf(used, dimension);
        const upTo = this.#told.upTo(period, backend, dimension, limit);
        // fault: a threshold is told of early
        const isReached = (threshold: number): boolean => usage >= threshold * limit;
        return thresholds
          .filter((threshold) => limit > 0 && threshold > upTo && isReached(threshold))
          .map((threshold) => {
            return { backend, dimension, ...(window !== undefined && { window }), threshold, limit, usage, period };
          });
      });
    } catch (error) {
      // What is wrong with the limits or thresholds of one holds up no other. Of one that is not held, those who hold it tell.
      if (tracker.counter.backends().includes(backend)) onError(error);
      return [];
    }
  }

  async #claim(crossings: readonly Crossing<D>[]): Promise<void> {
    if (crossings.length === 0) return;
    const { tracker, channel, onClaimed } = this.#parts;
    const marks = crossings.map((crossing) => markOfCrossing(crossing, channel));
    const claimed = await (tracker.store.claim as (marks: readonly Mark[]) => Promise<readonly Mark[]>)(marks);
    for (const { period, backend, dimension, limit, threshold } of crossings) {
      this.#told.add(period, backend, dimension, { limit, upTo: threshold });
    }
    if (claimed.length > 0) onClaimed();
  }
}

/** What is counted of a backend, stored or not; undefined where it is not held. Not by `has`, which is a use. */
function totalOf<D extends string>(counter: TrackedCounter<D>, backend: string): Usage<D> | undefined {
  try {
    return counter.totalAll(backend);
  } catch (error) {
    if (error instanceof UnknownBackendError) return undefined;
    throw error;
  }
}

function* slices<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < list.length; start += BACKENDS_PER_TURN)
    yield list.slice(start, start + BACKENDS_PER_TURN);
}
