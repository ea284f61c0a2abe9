import type { Clock, StorageDimension, Usage, UsageCounter } from "@usage/counter-core";

export interface UsageRatesOptions {
  readonly counter: Pick<UsageCounter, "backends" | "dimensions" | "period" | "totalAll">;
  readonly clock: Clock;
  /** How often usage is read while nobody asks. @default 10_000 */
  readonly intervalMs?: number;
}

/** How fast a backend is used, in units per second. */
export interface BackendRates {
  /** Over the last seconds. */
  readonly now: Usage;
  /** Over this period and this run, the last hour foremost. */
  readonly average: Usage;
  /** For how long the average has been seen, in milliseconds, by what is known of the period; what is over an hour ago hardly counts. */
  readonly seenMs: number;
}

/** How fast each backend is used, from readings of its usage one after the other: the request path knows nothing of it. */
export class UsageRates {
  readonly #counter: UsageRatesOptions["counter"];
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #rates = new Map<string, Readings>();
  #cancel: (() => void) | undefined;

  constructor(options: UsageRatesOptions) {
    const { counter, clock, intervalMs = 10_000 } = options;
    this.#counter = counter;
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** Reads now, and then once per interval until it is stopped. */
  start(): void {
    this.read();
    this.#cancel = this.#clock.after(this.#intervalMs, () => this.start());
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Takes a further reading of every backend; forgets those that are not held any more. */
  read(): void {
    const held = new Set(this.#counter.backends());
    for (const name of this.#rates.keys()) if (!held.has(name)) this.#rates.delete(name);
    for (const name of held) this.readOne(name);
  }

  /** Takes a further reading of one backend. */
  readOne(backend: string): void {
    const period = this.#counter.period();
    const usage = this.#counter.totalAll(backend);
    const atMs = this.#clock.now();
    const readings = this.#of(backend);
    for (const dimension of this.#counter.dimensions) {
      const rate = readings.rates[dimension];
      // Usage begins at zero with each period; how fast it grows does not change by that.
      if (period.key !== readings.period) rate.restart();
      rate.observe(usage[dimension], atMs, period.start);
    }
    readings.period = period.key;
  }

  of(backend: string): BackendRates {
    const { rates } = this.#of(backend);
    const each = (rate: (of: AmountRate) => number): Usage => this.#each((dimension) => rate(rates[dimension]));
    return { now: each((of) => of.now()), average: each((of) => of.average()), seenMs: rates.apiRequests.seenMs };
  }

  #of(backend: string): Readings {
    let readings = this.#rates.get(backend);
    if (readings === undefined) {
      readings = { rates: this.#each(() => new AmountRate()), period: this.#counter.period().key };
      this.#rates.set(backend, readings);
    }
    return readings;
  }

  #each<T>(value: (dimension: StorageDimension) => T): Record<StorageDimension, T> {
    const each = this.#counter.dimensions.map((dimension) => [dimension, value(dimension)] as const);
    return Object.fromEntries(each) as Record<StorageDimension, T>;
  }
}

interface Readings {
  readonly rates: Readonly<Record<StorageDimension, AmountRate>>;
  /** Of the last reading. */
  period: string;
}

/** What the present weighs over what was an hour ago: e. */
export const AVERAGE_MS: number = 3_600_000;
const NOW_MS = 5_000;

interface Reading {
  readonly amount: number;
  readonly atMs: number;
}

/** How fast one amount grows, per second. */
export class AmountRate {
  #last: Reading | undefined;
  /** All growth so far, at the readings of the last seconds and at one before. */
  #recent: Reading[] = [];
  // Growth and time, both weighted by exp(-age / AVERAGE_MS). Their quotient is the plain average of a short time.
  #weightedAmount = 0;
  #weightedMs = 0;

  /** The amount begins again at zero. */
  restart(): void {
    if (this.#last !== undefined) this.#last = { ...this.#last, amount: 0 };
  }

  /** @param sinceMs when the amount was zero: what the first reading finds has grown since then, as far as anybody knows. */
  observe(amount: number, atMs: number, sinceMs: number = atMs): void {
    const last = this.#last;
    // Two readings at one instant have no rate: what grew belongs to the time that comes.
    if (atMs === last?.atMs) return;
    this.#last = { amount, atMs };
    if (last === undefined || atMs < last.atMs) {
      this.#recent = [{ amount: 0, atMs }];
      // What was never used before has no history that could say how it will be used.
      if (last === undefined && amount > 0 && sinceMs < atMs) this.#weigh(amount, atMs - sinceMs);
      return;
    }
    const grown = Math.max(0, amount - last.amount);
    this.#weigh(grown, atMs - last.atMs);
    this.#recent.push({ amount: (this.#recent.at(-1)?.amount ?? 0) + grown, atMs });
    while (this.#recent.length > 2 && (this.#recent[1]?.atMs ?? atMs) <= atMs - NOW_MS) this.#recent.shift();
  }

  #weigh(grown: number, passedMs: number): void {
    const decay = Math.exp(-passedMs / AVERAGE_MS);
    const weightMs = AVERAGE_MS * (1 - decay);
    this.#weightedAmount = this.#weightedAmount * decay + (grown / passedMs) * weightMs;
    this.#weightedMs = this.#weightedMs * decay + weightMs;
  }

  /** Over the last five seconds, or since the reading before the last one where that is longer. */
  now(): number {
    const [first, last] = [this.#recent[0], this.#recent.at(-1)];
    if (first === undefined || last === undefined || last.atMs === first.atMs) return 0;
    return ((last.amount - first.amount) * 1_000) / (last.atMs - first.atMs);
  }

  get seenMs(): number {
    return this.#weightedMs;
  }

  average(): number {
    return this.#weightedMs === 0 ? 0 : (this.#weightedAmount * 1_000) / this.#weightedMs;
  }
}
