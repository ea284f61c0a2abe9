import type { Clock, StoredTotals, Tally, TotalsQuery, UsageStore } from "@usage/counter-core";
import { type Emitter, SerialQueue, untilAborted } from "@usage/counter-core/internal";
import type { TrackedCounter } from "./tracked-counter.ts";
import type { UsageChange } from "./usage-change.ts";

/** All that is held is read so often, in milliseconds: what changed shows no loss of what did not. */
const WHOLE_READ_MS = 600_000;

/** Of what the store took last, so many backends are looked at again. */
const WATCHED = 100;

/**
 * Learns from the store what others used of the backends that are held: all of it at first, then what changed since the read
 * before, and all of it again now and then.
 *
 * A store that loses something, as a replica that is promoted too early, loses what it took last. So each read also looks whether
 * that is still there; if not, everything that is held is read, and what is missing is stored again.
 */
export class StoreReader<D extends string> {
  readonly #counter: TrackedCounter<D>;
  readonly #store: UsageStore<D>;
  readonly #clock: Clock;
  readonly #changes: Emitter<UsageChange<D>>;
  /** One at a time: what is learnt and what is read of it for that belong together. */
  readonly #reads = new SerialQueue();
  #last: LastRead = nothingRead();
  #cursors = 0;
  readonly #unread = new Set<string>();
  /** Of the current period and of this run's own name, whose amounts the store tells apart. */
  #watched: readonly Tally[] = [];

  constructor(counter: TrackedCounter<D>, store: UsageStore<D>, clock: Clock, changes: Emitter<UsageChange<D>>) {
    this.#counter = counter;
    this.#store = store;
    this.#clock = clock;
    this.#changes = changes;
  }

  /** Everything is read the next time: the store may not have any more what it had. */
  restart(): void {
    // fault: goes on from its cursor in a store that lost what it had
    this.#last = nothingRead();
    this.#watched = [];
  }

  /** These were held without what the store had of them, or may have changed before they were held: they are read the next time. */
  readNext(backends: readonly string[]): void {
    for (const backend of backends) this.#unread.add(backend);
  }

  /** The store has taken them. */
  took(tallies: readonly Tally[]): void {
    const { writer } = this.#counter;
    const { key } = this.#counter.period();
    const own = tallies.filter((tally) => tally.writer === writer && tally.period === key).slice(-WATCHED);
    if (own.length > 0) this.#watched = own;
  }

  /** Grows with each read, before it is learnt: what was not held by then, and has changed, is not told again. */
  get cursors(): number {
    return this.#cursors;
  }

  read(signal: AbortSignal): Promise<void> {
    return this.#reads.run(() => this.#read(signal));
  }

  async #read(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const counter = this.#counter;
    for (;;) {
      const { key } = counter.period();
      const isWhole = await this.#readPeriod(key, signal);
      // Where the period has changed meanwhile, nothing is known of the new one.
      if (isWhole && counter.period().key === key) return;
    }
  }

  /** Returns false where it turned out that everything must be read. */
  async #readPeriod(period: string, signal: AbortSignal): Promise<boolean> {
    const begun = this.#clock.now();
    const last = this.#last;
    if (last.cursor === undefined || last.period !== period || Math.abs(begun - last.wholeMs) >= WHOLE_READ_MS) {
      const backends = this.#counter.backends();
      const unread = [...this.#unread];
      this.#cursors += 1;
      const { usage, cursor } = await untilAborted(this.#totals(period, { backends }), signal);
      this.#cursors += 1;
      await this.#learn(period, usage, backends, signal);
      this.#forgetUnread(unread);
      this.#readTo(last, { period, cursor, wholeMs: begun });
      this.#changes.emit({ kind: "read", period, usage, isWhole: true });
      return true;
    }
    const { usage, cursor } = await untilAborted(this.#totals(period, { since: last.cursor }), signal);
    this.#cursors += 1;
    // fault: takes what has not changed for lost
    await this.#learn(period, usage, [...usage.keys()], signal);
    this.#changes.emit({ kind: "read", period, usage, isWhole: false });
    await this.#readUnread(period, signal);
    this.#readTo(last, { ...last, cursor });
    if (!(await this.#hasLost(period, signal))) return true;
    this.restart();
    return false;
  }

  async #readUnread(period: string, signal: AbortSignal): Promise<void> {
    const backends = [...this.#unread];
    if (backends.length === 0) return;
    const { usage } = await untilAborted(this.#totals(period, { backends }), signal);
    await this.#learn(period, usage, backends, signal);
    this.#forgetUnread(backends);
  }

  #forgetUnread(backends: readonly string[]): void {
    for (const backend of backends) this.#unread.delete(backend);
  }

  /** Whether the store lacks something of what it took last. */
  async #hasLost(period: string, signal: AbortSignal): Promise<boolean> {
    const watched = this.#watched.filter((tally) => tally.period === period);
    if (watched.length === 0) return false;
    const backends = watched.map(({ backend }) => backend);
    const { usage } = await untilAborted(this.#totals(period, { backends }), signal);
    // fault: does not look whether the store still has what it took last
    return watched.some((tally) => {
      const own: Readonly<Record<string, number>> = usage.get(tally.backend)?.own ?? {};
      return Object.entries(tally.usage).some(([dimension, amount]) => amount > (own[dimension] ?? 0));
    });
  }

  async #learn(
    period: string,
    usage: StoredTotals<D>["usage"],
    asked: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const wanted = this.#counter.learn(period, usage, asked);
    if (wanted.length === 0) return;
    const rows = await untilAborted(this.#store.tallies(period, wanted), signal);
    await untilAborted(this.#counter.absorb(rows), signal);
  }

  #totals(period: string, query: TotalsQuery): Promise<StoredTotals<D>> {
    return this.#store.totals(period, this.#counter.writer, query);
  }

  /** Unless everything is to be read again. */
  #readTo(from: LastRead, to: LastRead): void {
    if (this.#last === from) this.#last = to;
  }
}

interface LastRead {
  readonly period: string;
  /** Absent where everything must be read. */
  readonly cursor: string | undefined;
  /** When all was last read, in milliseconds since the Unix epoch. */
  readonly wholeMs: number;
}

function nothingRead(): LastRead {
  return { period: "", cursor: undefined, wholeMs: 0 };
}
