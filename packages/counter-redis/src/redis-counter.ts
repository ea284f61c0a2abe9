import {
  type EnsureOptions,
  type Event,
  type Limits,
  type PeriodScheme,
  type ReadRows,
  STORAGE_DIMENSIONS,
  type Standing,
  type StorageDimension,
  type StoredUsage,
  systemClock,
  type Tally,
  type Usage,
  type UsageStore,
  utcMonths,
} from "@usage/counter-core";
import { CounterBase, Emitter, heapParts, type KnownUsage, UNLIMITED } from "@usage/counter-core/internal";
import type { RedisConnectOptions, RedisCounterOptions } from "./options.ts";
import { BucketCalls } from "./replication/bucket-calls.ts";
import { Chores } from "./replication/chores.ts";
import { Discards } from "./replication/discards.ts";
import type { RedisEvent } from "./replication/events.ts";
import { Exchanges } from "./replication/exchanges.ts";
import { Flushes } from "./replication/flushes.ts";
import { Hydration } from "./replication/hydration.ts";
import { Openings } from "./replication/openings.ts";
import { Polls } from "./replication/polls.ts";
import { Pushes } from "./replication/pushes.ts";
import { Recall, type Recalled } from "./replication/recall.ts";
import { Replication } from "./replication/replication.ts";
import { Ripening } from "./replication/ripening.ts";
import { Rounds } from "./replication/rounds.ts";
import type { SharedPeriod } from "./replication/shared-period.ts";
import { begin } from "./server/connect.ts";
import { RedisSharedCounts } from "./server/redis-shared-counts.ts";
import type { SharedCounts } from "./server/shared-counts.ts";

const PUSH_TIMEOUT_MS = 1_000;
const LEASE_MS = 10_000;

/**
 * A local counter with a second hop: to Redis, through which instances share what they count.
 *
 * Recording and reading never wait for Redis and never fail because of it. While Redis is away, each instance goes on with its
 * own counts and the last known ones of the others; its tallies reach the store all the same.
 *
 * @example
 * ```ts
 * const counter = await RedisCounterBackend.connect({ client: new Redis(url, recommendedClientOptions) });
 * ```
 */
export class RedisCounterBackend<D extends string = StorageDimension> extends CounterBase<D> {
  readonly #counts: SharedCounts;
  readonly #periods: PeriodScheme;
  readonly #exchanges: Exchanges;
  readonly #replication: Replication;
  readonly #rounds: Rounds;
  readonly #hydration: Hydration;
  readonly #flushes: Flushes;
  readonly #recall: Recall;
  readonly #discards: Discards;
  readonly #chores: Chores;
  readonly #events = new Emitter<RedisEvent>();
  readonly #isExact: boolean;
  readonly #openings: Openings;
  #closing: Promise<void> | undefined;

  /**
   * Over any implementation of the shared counts; `connect` is the way over Redis. Counts at once, shares after `start`.
   *
   * @throws RangeError for an option that is out of range.
   */
  constructor(counts: SharedCounts, options: RedisCounterOptions<D> = {}) {
    const { backends = [], periods = utcMonths, pushTimeoutMs = PUSH_TIMEOUT_MS } = options;
    const { enforcement = "approximate", leaseMs = LEASE_MS, claim } = options;
    if (!["exact", "approximate"].includes(enforcement)) {
      throw new RangeError(`enforcement must be "exact" or "approximate", got ${JSON.stringify(enforcement)}`);
    }
    const isExact = enforcement === "exact";
    const parts = heapParts(backends, options, 2, isExact);
    super(parts);
    // What somebody takes out of it is in no sum, and no limit could hold.
    if (isExact) this.drainBy("tallies");
    const { clock, rows, dimensions, writer: run, tallyRows: tallies } = this;
    const emit = (event: RedisEvent): void => this.#events.emit(event);
    const exchanges = new Exchanges(clock, pushTimeoutMs);
    const calls = new BucketCalls(counts, exchanges);
    const replication = new Replication({
      rows,
      periods: this.periods,
      tallies,
      clock,
      emit,
      slices: {
        periods: parts.periods,
        isExact,
        leaseMs,
        syncIntervalMs: options.syncIntervalMs ?? 25,
        freed: (row) => this.freed(row),
        hasten: () => this.#rounds.hasten(),
      },
    });
    const chores = new Chores(emit);
    const pushes = new Pushes({ run, rows, tallies, clock, counts, calls, replication });
    const polls = new Polls({ rows, clock, counts, exchanges, calls, replication });
    this.#counts = counts;
    this.#periods = periods;
    this.#exchanges = exchanges;
    this.#replication = replication;
    this.#chores = chores;
    this.#hydration = new Hydration(replication, pushes, rows);
    this.#flushes = new Flushes({ run, rows, periods, clock, counts, exchanges, replication, chores, emit });
    const isSharing = (): boolean => this.#isSharing;
    this.#recall = new Recall({ run, dimensions, counts, calls, replication, clock, isSharing, isExact });
    this.#discards = new Discards(counts, exchanges, replication);
    const tend = (): Promise<void> => chores.run("discard", (failed) => this.#discards.work(failed));
    this.#openings = new Openings(claim);
    const ripening = new Ripening({ counts, calls, replication, clock, leaseMs, openings: this.#openings });
    const ripen = async (): Promise<void> => {
      if (isExact) await ripening.work(replication.current());
    };
    this.#rounds = new Rounds({ replication, pushes, polls, clock, emit, ripen, tend }, options);
    this.#isExact = isExact;
  }

  /**
   * Connects to Redis and exchanges all counts once: what this counter returns from then on includes what others shared.
   *
   * @throws RedisConnectError when Redis cannot be reached or used; it says why, within 5 seconds.
   */
  static async connect<D extends string = StorageDimension>(
    options: RedisConnectOptions<D>,
  ): Promise<RedisCounterBackend<D>> {
    const { client, prefix = "usage", dimensions = STORAGE_DIMENSIONS, clock = systemClock } = options;
    const replyTimeoutMs = 0.8 * (options.pushTimeoutMs ?? PUSH_TIMEOUT_MS);
    const counts = new RedisSharedCounts({ client, prefix, dimensions, clock, replyTimeoutMs });
    const pollIntervalMs = options.pollIntervalMs ?? (client.isCluster ? 100 : 50);
    const counter = new RedisCounterBackend<D>(counts, { ...options, pollIntervalMs });
    try {
      await begin(client, prefix, {
        start: () => counter.start(),
        replies: () => counter.#exchanges.replies,
        isExact: options.enforcement === "exact",
      });
      return counter;
    } catch (error) {
      await counter.close();
      throw error;
    }
  }

  /** Whatever happens to the shared counts. */
  get onEvent(): Event<RedisEvent> {
    return this.#events.event;
  }

  /**
   * Notes in this store from now on which buckets were opened, unless the option `claim` says otherwise or it has a store already;
   * a tracker does it. All instances have the same store, and have it within `leaseMs`: else Redis that loses data can make them
   * pass a limit.
   */
  bind(store: Pick<UsageStore, "claim">): void {
    this.#openings.bind(store, this.#counts.name ?? "shared counts");
  }

  /** Exchanges all counts once, then goes on doing so. Rejects, and shares nothing, when that fails. */
  async start(): Promise<void> {
    await this.#rounds.round();
    if (this.#closing === undefined) this.#rounds.start();
  }

  /** Exchanges what is due now. Rejects when that fails; it goes on by itself all the same. */
  sync(): Promise<void> {
    return this.#rounds.round();
  }

  /** What this process counted in the current period and has not shared, as far as known. */
  unpushedAll(backend: string): Usage<D> {
    const row = this.rowOf(backend);
    const cells = this.periods.current();
    const { confirmed } = this.#replication.hop.of(cells);
    return this.usage((place) => {
      const cell = this.cellOf(row, place);
      return Math.max(0, cells.mine(cell) - (confirmed[cell] as number));
    });
  }

  /**
   * Whether Redis is being tried; `false` after too many failures in a row, until a probe goes through. Stays `true` while
   * some counts cannot be used: see `refused`.
   */
  isHealthy(): boolean {
    return this.#rounds.isHealthy;
  }

  /**
   * The backends whose shared counts could not be used when they were last tried: their key is spoilt, or on a node of the
   * cluster that is away. They are tried again every `probeIntervalMs`.
   */
  refused(): readonly string[] {
    const current = this.#replication.current();
    if (!current.hasRefused()) return [];
    return this.backends().filter((backend) => {
      const row = this.rowOf(backend);
      return current.isRefused(row) || this.#replication.bucketOf(current, row).isAway;
    });
  }

  /**
   * What is wrong now: why Redis is not being tried, or what else it keeps from being done (see the event `failed`). Undefined
   * while all is well.
   */
  lastError(): unknown {
    return this.#rounds.lastError ?? this.#chores.lastError;
  }

  /** When all counts, less those that are refused, were last exchanged, in milliseconds since the Unix epoch. */
  sharedAtMs(): number | undefined {
    return this.#rounds.sharedAtMs;
  }

  override async tallies(): Promise<readonly Tally[]> {
    this.drainBy("tallies");
    // fault: stores nothing while Redis is away
    const found = this.#isSharing ? await this.#flushes.find() : [];
    return this.#flushes.take(await super.tallies(), found);
  }

  override confirm(stored: readonly Tally[]): void {
    super.confirm(stored);
    void this.#flushes.stored(stored, this.#isSharing);
  }

  override learn(
    period: string,
    stored: ReadonlyMap<string, StoredUsage<D>>,
    asked?: readonly string[],
  ): readonly string[] {
    const wanted = super.learn(period, stored, asked);
    if (!this.#isSharing) return wanted;
    const shared = this.#replication.current();
    if (shared.cells.period.key !== period) return wanted;
    for (const backend of stored.keys()) this.#noteLack(shared, backend);
    return [...new Set([...wanted, ...this.#hydration.wanted(shared)])];
  }

  override async absorb(rows: readonly Tally[]): Promise<void> {
    await super.absorb(rows);
    if (this.#isSharing) await this.#chores.run("hydrate", () => this.#hydration.bring(rows));
  }

  override setLimits(backend: string, limits: Limits<D>): void {
    const before = this.limitsOf(backend);
    super.setLimits(backend, limits);
    const now = this.limitsOf(backend);
    const isLower = this.dimensions.some((dimension) => {
      return (now[dimension] ?? UNLIMITED) < (before[dimension] ?? UNLIMITED);
    });
    this.#replication.slices.limited(this.#replication.current(), this.rowOf(backend), isLower);
  }

  override standing(backend: string): Standing<D> {
    const row = this.rowOf(backend);
    if (!this.#isExact) {
      const asOf = this.sharedAtMs();
      return { mode: "approximate", ...(asOf !== undefined && { asOf }) };
    }
    const { slices } = this.#replication;
    const shared = this.#replication.current();
    const problem = this.#isSharing ? slices.problemOf(shared, row) : "offline";
    return problem === undefined
      ? { mode: "exact", asOf: slices.usableUntilMs(shared, row) }
      : { mode: "exact", problem };
  }

  /** Also deletes what all instances shared of the backend: discard it on all of them. */
  override discard(backend: string): void {
    super.discard(backend);
    const row = this.rowOf(backend);
    for (const shared of this.#replication.periods()) this.#replication.slices.clear(shared, row);
    const { start } = this.period();
    this.#discards.add(backend, [this.#periods.at(start - 1), ...this.periods.all().map(({ period }) => period)]);
  }

  /** Shares what is left, as far as Redis can be reached, and ends. Counting goes on; the client stays open. */
  close(): Promise<void> {
    this.#replication.slices.close();
    this.#closing ??= this.#rounds.stop().finally(() => this.#counts.close?.());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  protected override async recall(
    names: readonly string[],
    read: ReadRows,
    { whenUnknown = "reject" }: EnsureOptions<D>,
  ): Promise<() => void> {
    const shared = this.#replication.current();
    const recalled = await this.#recall.ask(shared, names, read, whenUnknown);
    return () => {
      for (const name of names)
        if (this.rows.find(name) === undefined) this.#holdRecalled(shared, name, recalled(name));
    };
  }

  protected override admit(name: string, known: KnownUsage | undefined): number {
    const row = super.admit(name, known);
    this.#replication.hold(row);
    return row;
  }

  protected override canLetGo(row: number): boolean {
    return super.canLetGo(row) && this.#isSharing && this.#replication.isInStep(row);
  }

  protected override letGo(row: number): void {
    this.#replication.letGo(row);
    super.letGo(row);
  }

  protected override noRoom(row: number, amounts: Float64Array): void {
    this.#replication.slices.noRoom(row, amounts);
  }

  protected override unstored(row: number, place: number): number {
    // fault: sends to Redis in the request path
    const cells = this.periods.current();
    const cell = this.cellOf(row, place);
    const [store, redis] = [this.store.of(cells), this.#replication.hop.of(cells)];
    const others = Math.max(0, (redis.others[cell] as number) - (store.others[cell] as number));
    return super.unstored(row, place) + others;
  }

  protected override storeLost(): void {
    this.#flushes.storeLost();
  }

  get #isSharing(): boolean {
    return this.#rounds.isHealthy && this.#closing === undefined;
  }

  #holdRecalled(shared: SharedPeriod, name: string, { merged, rows }: Recalled): void {
    const { cells } = shared;
    const stored = this.amountsOf(rows?.find(({ writer }) => writer === this.writer)?.usage);
    // Only where both answered, nobody can have a larger tally of ours.
    // fault: goes on under its name from what one replica alone knows
    const isKnown = merged !== undefined && rows !== undefined;
    const mine = stored.map((amount, place) => Math.max(amount, merged?.own[place] ?? 0));
    const row = this.admit(name, isKnown ? { mine, stored } : undefined);
    if (rows !== undefined) this.store.raiseBy(cells, row, rows);
    if (merged === undefined) return;
    // What is there under the run's own name is this row's only where it counts on under that name.
    const nothing = this.dimensions.map(() => 0);
    const own = cells.generations.of(row) === 0 ? merged.own : nothing;
    this.#replication.learnRow(shared, row, merged, own, nothing);
    const none = nothing.map(() => ({ granted: 0, returned: 0 }));
    const isOwn = cells.generations.of(row) === 0;
    const slices = merged.slices && { ...merged.slices, pairs: isOwn ? merged.slices.pairs : none };
    const item = { backend: name, writer: this.writer, own };
    this.#replication.slices.takeUp(shared, row, item, { ...merged, own, ...(slices && { slices }) });
    // Whatever happened since it was asked for is found with the next push.
    // fault: trusts what it was told before it held a backend
    shared.apply(row, { kind: "changed" });
  }

  #noteLack(shared: SharedPeriod, backend: string): void {
    const row = this.rows.find(backend);
    if (row === undefined) return;
    const { cells } = shared;
    const [store, redis] = [this.store.of(cells), this.#replication.hop.of(cells)];
    // fault: trusts that others brought what the store knows
    const isLacking = this.dimensions.some((_, place) => {
      const cell = this.cellOf(row, place);
      return (store.others[cell] as number) > (redis.others[cell] as number);
    });
    if (!isLacking) return;
    shared.apply(row, { kind: "lacking" });
    if (!shared.wantsRows(row)) shared.apply(row, { kind: "changed" });
  }
}
