import {
  assertBackendName,
  type Clock,
  type Limits,
  type Tally,
  TooManyBackendsError,
  UnknownUsageError,
  type Usage,
  type UsageStore,
} from "@usage/counter-core";
import { withinTime } from "@usage/counter-core/internal";
import { FlushTimeoutError } from "./errors.ts";
import { limitsWithoutCredit } from "./grants/credit.ts";
import type { TrackedCounter } from "./tracked-counter.ts";

/** Somebody who waits until a backend is held. */
interface Asked<D extends string> {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  limits: Limits<D>;
}

export interface AdmissionParts<D extends string> {
  readonly counter: TrackedCounter<D>;
  readonly store: UsageStore<D>;
  readonly clock: Clock;
  readonly whenUnknown: "reject" | "admit";
  readonly readTimeoutMs: number;
  /** Throws for limits that are wrong. */
  readonly limitsOf: (backend: string) => Limits<D>;
  /** What was granted to a backend; undefined: nothing that is known. */
  readonly creditOf: (period: string, backend: string) => Partial<Usage<D>> | undefined;
  /** Reads what was granted for this period, where that was not done yet. */
  readonly loadCredit: (signal: AbortSignal) => Promise<void>;
  /** Reads what was used of the backends that the counter had from the start. */
  readonly load: () => Promise<void>;
  /** How often the tracker's reads of the store have moved on; each may have passed over what is not held yet. */
  readonly cursors: () => number;
  /** Hears that backends are held. */
  readonly onHeld: (backends: readonly string[]) => void;
  /** Hears that backends are held of which the store was not read, or may have changed since. */
  readonly onUnread: (backends: readonly string[]) => void;
}

/**
 * Brings backends in that nobody has named before: what is asked at once is read at once, and whoever asks for what is being
 * read already waits for that. What is wrong with one of them holds up no other.
 */
export class Admission<D extends string> {
  readonly #parts: AdmissionParts<D>;
  readonly #asked = new Map<string, Asked<D>>();
  #next: string[] = [];
  #loading: Promise<void> | undefined;
  /** Whether what was used is known of the backends that the counter had from the start, or they were admitted without it. */
  isLoaded: boolean;

  constructor(parts: AdmissionParts<D>) {
    this.#parts = parts;
    this.isLoaded = parts.counter.backends().length === 0;
  }

  /** Whether there is nothing to wait for. */
  isHeld(backend: string): boolean {
    return this.isLoaded && this.#parts.counter.has(backend);
  }

  ask(backend: string): Promise<void> {
    const waiting = this.#asked.get(backend);
    if (waiting !== undefined) return waiting.promise;
    const { counter, limitsOf } = this.#parts;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    try {
      assertBackendName(backend);
      const limits = counter.has(backend) ? limitsWithoutCredit(counter, backend) : limitsOf(backend);
      this.#asked.set(backend, { promise, resolve, reject, limits });
    } catch (error) {
      return Promise.reject(error);
    }
    // With the event loop's next turn, not a timer's: until then whoever asks in this one is in it, and others get theirs.
    if (this.#next.push(backend) === 1) setImmediate(() => void this.#begin());
    return promise;
  }

  /** Those that are being brought in. */
  asked(): Iterable<string> {
    return this.#asked.keys();
  }

  /** What a backend that is being brought in is limited to once it is held. */
  setLimits(backend: string, limits: Limits<D>): void {
    const asked = this.#asked.get(backend);
    if (asked !== undefined) asked.limits = limits;
  }

  async #begin(): Promise<void> {
    const backends = this.#next;
    this.#next = [];
    try {
      if (!this.isLoaded) await this.#load();
    } catch (error) {
      this.#end(backends, ({ reject }) => reject(new UnknownUsageError(backends, error)));
      return;
    }
    await this.#hold(backends);
  }

  async #hold(backends: readonly string[]): Promise<void> {
    const { counter, creditOf, whenUnknown } = this.#parts;
    const limitsOf = (backend: string): Limits<D> => this.#asked.get(backend)?.limits ?? {};
    let isUnread = false;
    let cursors = this.#parts.cursors();
    const read = async (period: string, names: readonly string[]): Promise<readonly Tally[]> => {
      isUnread = true;
      cursors = this.#parts.cursors();
      const rows = await this.#read(period, names);
      isUnread = false;
      return rows;
    };
    try {
      await counter.ensure(backends, read, { whenUnknown, limitsOf, creditOf });
      // fault: takes what could not be read of a backend for unchanged
      if (isUnread || cursors !== this.#parts.cursors()) this.#parts.onUnread(backends);
      this.#end(backends, ({ resolve }) => resolve());
      this.#parts.onHeld(backends);
    } catch (error) {
      if (error instanceof TooManyBackendsError) await this.#holdSome(backends, error);
      else this.#end(backends, ({ reject }) => reject(error));
    }
  }

  /** Where there is room for some of them, those who came first get it. */
  async #holdSome(backends: readonly string[], { maxBackends, room }: TooManyBackendsError): Promise<void> {
    const missing = backends.filter((backend) => !this.#parts.counter.has(backend));
    // Somebody else has brought these in meanwhile.
    if (missing.length < backends.length) this.#end(without(backends, missing), ({ resolve }) => resolve());
    const [first, rest] = [missing.slice(0, room), missing.slice(room)];
    this.#end(rest, ({ reject }, backend) => reject(new TooManyBackendsError(backend, maxBackends)));
    if (first.length > 0) await this.#hold(first);
  }

  #end(backends: readonly string[], how: (asked: Asked<D>, backend: string) => void): void {
    for (const backend of backends) {
      const asked = this.#asked.get(backend);
      this.#asked.delete(backend);
      if (asked !== undefined) how(asked, backend);
    }
  }

  #read(period: string, backends: readonly string[]): Promise<readonly Tally[]> {
    const { store, clock, readTimeoutMs, loadCredit } = this.#parts;
    const late = (): Error => new FlushTimeoutError(readTimeoutMs, "reading what was used");
    return withinTime(clock, readTimeoutMs, late, async (signal) => {
      const [tallies] = await Promise.all([store.tallies(period, backends), loadCredit(signal)]);
      return tallies;
    });
  }

  /** Once for all who wait for it. */
  #load(): Promise<void> {
    this.#loading ??= this.#parts
      .load()
      .catch((error: unknown) => {
        if (this.#parts.whenUnknown === "reject") throw error;
      })
      .then(() => {
        this.isLoaded = true;
      })
      .finally(() => {
        this.#loading = undefined;
      });
    return this.#loading;
  }
}

function without(names: readonly string[], others: readonly string[]): readonly string[] {
  const left = new Set(others);
  return names.filter((name) => !left.has(name));
}
