import type { Clock, UsageStore } from "@usage/counter-core";
import { untilAborted } from "@usage/counter-core/internal";
import type { TrackedCounter } from "./tracked-counter.ts";

/** All that is held is read so often, in milliseconds: what changed shows no loss of what did not. */
const WHOLE_READ_MS = 600_000;

/**
 * Learns from the store what others used of the backends that are held: all of it at first, then what changed since the read
 * before, and all of it again now and then.
 */
export class StoreReader<D extends string> {
  readonly #counter: TrackedCounter<D>;
  readonly #store: UsageStore<D>;
  readonly #clock: Clock;
  #last: LastRead | undefined;
  #restarts = 0;

  constructor(counter: TrackedCounter<D>, store: UsageStore<D>, clock: Clock) {
    this.#counter = counter;
    this.#store = store;
    this.#clock = clock;
  }

  /** Everything is read the next time: the store may not have any more what it had, or was not read of a backend. */
  restart(): void {
    // fault: goes on from its cursor in a store that lost what it had
    this.#last = undefined;
    this.#restarts += 1;
  }

  async read(signal: AbortSignal): Promise<void> {
    const counter = this.#counter;
    for (;;) {
      const { key } = counter.period();
      await this.#readPeriod(key, signal);
      // Where the period has changed meanwhile, nothing is known of the new one.
      if (counter.period().key === key) return;
    }
  }

  async #readPeriod(period: string, signal: AbortSignal): Promise<void> {
    const counter = this.#counter;
    const store = this.#store;
    const begun = this.#clock.now();
    const last = this.#last;
    const restarts = this.#restarts;
    const isWhole = last === undefined || last.period !== period || Math.abs(begun - last.wholeMs) >= WHOLE_READ_MS;
    // What comes to be held meanwhile is read by whoever brings it in, and later than this.
    const asked = isWhole ? counter.backends() : undefined;
    const query = isWhole ? { backends: counter.backends() } : { since: last.cursor };
    const { usage, cursor } = await untilAborted(store.totals(period, counter.writer, query), signal);
    // fault: takes what has not changed for lost
    const wanted = counter.learn(period, usage, asked ?? [...usage.keys()]);
    if (wanted.length > 0) {
      const rows = await untilAborted(store.tallies(period, wanted), signal);
      await untilAborted(counter.absorb(rows), signal);
    }
    // Another read was faster, or everything is to be read again.
    if (this.#last !== last || this.#restarts !== restarts) return;
    const wholeMs = isWhole ? begun : last.wholeMs;
    this.#last = cursor === undefined ? undefined : { period, cursor, wholeMs };
  }
}

interface LastRead {
  readonly period: string;
  readonly cursor: string;
  /** When all was last read, in milliseconds since the Unix epoch. */
  readonly wholeMs: number;
}
