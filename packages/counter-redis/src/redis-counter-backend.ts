import type { EventEmitter } from "node:events";
import {
  amountOf,
  type CounterBackend,
  DrainConflictError,
  LocalCounterBackend,
  type Period,
  type PeriodScheme,
  STORAGE_DIMENSIONS,
  type StorageDimension,
  type StoredUsage,
  systemClock,
  type Tally,
  type Usage,
  utcMonths,
} from "@usage/counter-core";
import { Announcer } from "./announcer.ts";
import { Chores } from "./chores.ts";
import { begin } from "./connect.ts";
import type { RedisCounterEvents, RedisMessage } from "./events.ts";
import { Hydrator } from "./hydrator.ts";
import { DEFAULT_PUSH_TIMEOUT_MS, PushLoop } from "./push-loop.ts";
import { Reconciler } from "./reconciler.ts";
import type { RedisConnectOptions, RedisCounterOptions } from "./redis-counter-options.ts";
import { RedisSharedCounts } from "./redis-shared-counts.ts";
import type { SharedBackend } from "./shared-backend.ts";
import type { SharedCounts } from "./shared-counts.ts";
import type { SharedPeriod } from "./shared-period.ts";

/**
 * Counts in the memory of this process, and shares the counts with every other instance through Redis.
 *
 * Recording and reading never wait for Redis and never fail because of it: they are those of a `LocalCounterBackend`, whose
 * knowledge of others this keeps up to date. While Redis is away, each instance goes on with its own counts and the last
 * known ones of the others; its tallies reach the store all the same.
 */
export class RedisCounterBackend<D extends string = StorageDimension> implements CounterBackend<D> {
  readonly writer: string;
  readonly dimensions: readonly D[];
  /** What happens to the shared counts. */
  readonly events: EventEmitter<RedisCounterEvents>;
  readonly #local: LocalCounterBackend<D>;
  readonly #counts: SharedCounts;
  readonly #periods: PeriodScheme;
  readonly #loop: PushLoop;
  readonly #reconciler: Reconciler;
  readonly #hydrator: Hydrator;
  readonly #chores: Chores;
  #drainedBy: "swap" | "tallies" | undefined;
  #closing: Promise<void> | undefined;
  readonly #announcer = new Announcer();

  /**
   * Over any implementation of the shared counts; `connect` is the way over Redis. Counts at once, shares after `start`.
   *
   * @throws RangeError for an option that is out of range.
   */
  constructor(counts: SharedCounts, options: RedisCounterOptions<D>) {
    const { backends, periods = utcMonths, clock = systemClock, dimensions, writer } = options;
    const local = new LocalCounterBackend<D>(backends, {
      periods,
      clock,
      ...(dimensions !== undefined && { dimensions }),
      ...(writer !== undefined && { writer }),
    });
    const publish = (message: RedisMessage): void => this.#announcer.publish(message);
    const loop = new PushLoop({ local, counts, clock, publish }, options);
    this.events = this.#announcer.events;
    this.writer = local.writer;
    this.dimensions = local.dimensions;
    this.#local = local;
    this.#counts = counts;
    this.#periods = periods;
    this.#loop = loop;
    this.#chores = new Chores(publish);
    this.#reconciler = new Reconciler({ local, counts, loop, periods, clock, chores: this.#chores, publish });
    this.#hydrator = new Hydrator(loop, counts.batchSize);
  }

  /**
   * Connects to Redis and exchanges all counts once: what this counter answers from then on includes what others shared.
   *
   * @throws RedisConnectError when Redis cannot be reached or used; it says why, within 5 seconds.
   */
  static async connect<D extends string = StorageDimension>(
    options: RedisConnectOptions<D>,
  ): Promise<RedisCounterBackend<D>> {
    const { client, prefix = "usage", clock = systemClock, dimensions = STORAGE_DIMENSIONS } = options;
    const { pushTimeoutMs = DEFAULT_PUSH_TIMEOUT_MS } = options;
    const counts = new RedisSharedCounts({ client, prefix, dimensions, clock, replyTimeoutMs: 0.8 * pushTimeoutMs });
    const counter = new RedisCounterBackend<D>(counts, options);
    try {
      await begin(client, prefix, () => counter.start());
      return counter;
    } catch (error) {
      await counter.close();
      throw error;
    }
  }

  /** Exchanges all counts once, then goes on doing so. Rejects, and shares nothing, when that fails. */
  async start(): Promise<void> {
    await this.#loop.round();
    this.#reconciler.noteFlush();
    this.#announcer.begin();
    if (this.#closing === undefined) this.#loop.start();
  }

  add(backend: string, dimension: D, amount: number): void {
    // fault: sends to Redis in the request path
    this.#local.add(backend, dimension, amount);
  }

  addAll(backend: string, usage: Partial<Usage<D>>): void {
    // fault: refuses to count while Redis is away
    this.#local.addAll(backend, usage);
  }

  readTotal(backend: string, out: Float64Array): void {
    this.#local.readTotal(backend, out);
  }

  readTotals(out: Float64Array): void {
    this.#local.readTotals(out);
  }

  totalAll(backend: string): Usage<D> {
    return this.#local.totalAll(backend);
  }

  backends(): readonly string[] {
    return this.#local.backends();
  }

  period(): Period {
    return this.#local.period();
  }

  /** Adds backends, which begin with what was read of them; the rest is known after the next exchange. Known ones stay. */
  addBackends(names: Iterable<string>): void {
    this.#local.addBackends(names);
  }

  /** Exchanges what is due now. Rejects when that fails; the loop goes on all the same. */
  sync(): Promise<void> {
    return this.#loop.round();
  }

  /** What all instances counted and the store is not known to hold. */
  load(backend: string, dimension: D): number {
    const mine = this.#local.load(backend, dimension);
    return mine + this.#shared(backend).unstored(this.dimensions.indexOf(dimension));
  }

  loadAll(backend: string): Usage<D> {
    const mine = this.#local.loadAll(backend);
    const shared = this.#shared(backend);
    return this.#usage((dimension, d) => mine[dimension] + shared.unstored(d));
  }

  setBaseline(backend: string, usage: Usage<D>): void {
    this.#local.setBaseline(backend, usage);
    this.#shared(backend).setBaseline(this.dimensions.map((dimension) => amountOf(usage, dimension)));
  }

  /** What this process counted in the current period and has not shared, as far as known. */
  unpushedAll(backend: string): Usage<D> {
    this.#local.load(backend, this.dimensions[0] as D); // throws for a backend that is not known
    const shared = this.#shared(backend);
    return this.#usage((_, d) => shared.unpushed(d));
  }

  /**
   * Whether Redis is being tried; `false` after too many failures in a row, until a probe goes through. Stays `true` while
   * some keys cannot be used: see `refused`.
   */
  isHealthy(): boolean {
    return this.#loop.isHealthy;
  }

  /**
   * The backends whose shared counts could not be used when they were last tried: their key is spoilt, or on a node of the
   * cluster that is away. They are tried again every `probeIntervalMs`.
   */
  refused(): readonly string[] {
    return this.#loop.current().backends.flatMap((backend) => (backend.isRefused ? [backend.name] : []));
  }

  /**
   * What is wrong now: why Redis is not being tried, or what else it keeps from being done (see the event `failed`). Undefined
   * while all is well.
   */
  lastError(): unknown {
    return this.#loop.lastError ?? this.#chores.lastError;
  }

  /** When all counts, less those that are refused, were last exchanged, in milliseconds since the Unix epoch. */
  sharedAtMs(): number | undefined {
    return this.#loop.wholeAtMs;
  }

  async tallies(): Promise<readonly Tally[]> {
    if (this.#loop.current().backends.some((backend) => backend.isSwapped)) throw new DrainConflictError("tallies");
    this.#drainBy("tallies");
    const own = await this.#local.tallies();
    // fault: stores nothing while Redis is away
    if (!this.#sharing) return own;
    const missing = await this.#reconciler.missing();
    // What others shared of backends that are not here yet is known where they are added.
    // fault: forgets what a flush found of backends that are not there yet
    await this.#local.absorb(missing);
    const all = [...own, ...missing];
    // Nobody settles nothing.
    if (all.length === 0) this.#reconciler.settled(all);
    return all;
  }

  settle(stored: readonly Tally[]): void {
    this.#local.settle(stored);
    this.#reconciler.settled(stored);
  }

  /** Whatever else is shared, of this period and the one before, is read and stored again, too. */
  unsettle(): void {
    this.#local.unsettle();
    // fault: does not look again for what others had in a store that lost it
    this.#reconciler.unsettle();
  }

  observe(period: string, stored: ReadonlyMap<string, StoredUsage<D>>): readonly string[] {
    const wanted = this.#local.observe(period, stored);
    const shared = this.#loop.current();
    if (shared.period.key !== period) return wanted;
    const lacking = this.#hydrator.observe(shared, stored);
    return this.#sharing ? [...new Set([...wanted, ...lacking])] : wanted;
  }

  async absorb(rows: readonly Tally[]): Promise<void> {
    await this.#local.absorb(rows);
    if (this.#sharing) await this.#chores.run("hydrate", () => this.#hydrator.absorb(rows));
  }

  /** Also deletes what all instances shared of the backend: discard it on all of them. */
  discard(backend: string): void {
    this.#local.discard(backend);
    this.#loop.discard(backend, this.#periods.at(this.#loop.current().period.start - 1));
  }

  /**
   * Takes what all instances counted, period by period. Rejects when Redis cannot be reached and nothing was taken; a lost
   * reply loses what it took.
   */
  async swap(backend: string, dimension: D): Promise<number> {
    this.#local.load(backend, dimension); // throws for what is not known
    this.#drainBy("swap");
    let amount = 0;
    try {
      for (const shared of this.#loop.periods()) amount += await this.#swapIn(shared, backend, dimension);
    } catch (error) {
      // What was taken of another period is the caller's; the rest is there for the next call.
      if (amount === 0) throw error;
    }
    return amount;
  }

  /** Shares what is left, as far as Redis can be reached, and ends. Counting goes on; the client stays open. */
  close(): Promise<void> {
    this.#closing ??= this.#loop.stop().finally(() => this.#counts.close?.());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #swapIn(shared: SharedPeriod, backend: string, dimension: D): Promise<number> {
    const one = shared.find(backend);
    const place = this.dimensions.indexOf(dimension);
    await this.#loop.push(shared, [one]);
    const { amount } = await this.#loop.exchange(
      () => this.#counts.swap(shared.period, backend, dimension),
      (reply) => {
        one.took(place, reply.taken);
        return reply;
      },
    );
    // A period that is over is let go of once nothing of it is needed any more.
    if (shared.period.start !== this.period().start) this.#local.settle([one.tallyOf(place)]);
    return amount;
  }

  get #sharing(): boolean {
    return this.#loop.isHealthy && this.#closing === undefined;
  }

  #shared(name: string): SharedBackend {
    return this.#loop.current().find(name);
  }

  #usage(amountOf: (dimension: D, place: number) => number): Usage<D> {
    return Object.fromEntries(this.dimensions.map((dimension, d) => [dimension, amountOf(dimension, d)])) as Usage<D>;
  }

  #drainBy(way: "swap" | "tallies"): void {
    this.#drainedBy ??= way;
    if (this.#drainedBy !== way) throw new DrainConflictError(way);
  }
}
