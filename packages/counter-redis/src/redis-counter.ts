import {
  type EnsureOptions,
  type Event,
  type Limits,
  type ReadRows,
  STORAGE_DIMENSIONS,
  type Standing,
  type StorageDimension,
  type StoredUsage,
  systemClock,
  type Tally,
  type Usage,
  utcMonths,
} from "@usage/counter-core";
import { CounterBase, heapParts, type KnownUsage, UNLIMITED } from "@usage/counter-core/internal";
import { isExactBy, type RedisConnectOptions, type RedisCounterOptions } from "./options.ts";
import type { RedisEvent } from "./replication/events.ts";
import type { Forgiven, ForgiveOptions } from "./replication/forgiving.ts";
import type { Recalled } from "./replication/recall.ts";
import type { SharedPeriod } from "./replication/shared-period.ts";
import { PUSH_TIMEOUT_MS, Sharing } from "./replication/sharing.ts";
import type { BoundStore } from "./replication/store-access.ts";
import { connect } from "./server/connect.ts";
import { RedisSharedCounts } from "./server/redis-shared-counts.ts";
import type { SharedCounts } from "./server/shared-counts.ts";

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
  readonly #sharing: Sharing;

  /**
   * Over any implementation of the shared counts; `connect` is the way over Redis. Counts at once, shares after `start`.
   *
   * @throws RangeError for an option that is out of range.
   */
  constructor(counts: SharedCounts, options: RedisCounterOptions<D> = {}) {
    const { backends = [], periods: scheme = utcMonths } = options;
    const isExact = isExactBy(options);
    const parts = heapParts(backends, options, 2, isExact);
    super(parts);
    // What somebody takes out of it is in no sum, and no limit could hold.
    if (isExact) this.drainBy("tallies");
    const { clock, rows, dimensions, writer: run, tallyRows: tallies } = this;
    const freed = (row: number): void => this.freed(row);
    const { periods } = parts;
    this.#sharing = new Sharing({ run, dimensions, rows, periods, scheme, tallies, clock, freed }, counts, options);
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
      const { isExact, leaseMs, events } = counter.#sharing;
      const cautions = await connect(client, prefix, {
        start: () => counter.start(),
        replies: () => counter.#sharing.exchanges.replies,
        exact: isExact ? { leaseMs } : undefined,
      });
      // Nobody can have subscribed yet.
      clock.after(0, () => cautions.forEach((problem) => void events.emit({ kind: "cautioned", problem })));
      return counter;
    } catch (error) {
      await counter.close();
      throw error;
    }
  }

  /** Whatever happens to the shared counts. */
  get onEvent(): Event<RedisEvent> {
    return this.#sharing.events.event;
  }

  /**
   * Where limits are exact: notes in this store from now on which buckets were opened, and reads what is needed at once. A tracker
   * does it. The first store counts, and the option `claim` before it. All instances have the same store, and have it within
   * `leaseMs`: else Redis that loses data can make them pass a limit.
   */
  bind(store: BoundStore): void {
    this.#sharing.store.bind(store, this.#sharing.counts.name ?? "shared counts");
  }

  /** Exchanges all counts once, then goes on doing so. Rejects, and shares nothing, when that fails. */
  async start(): Promise<void> {
    await this.#sharing.rounds.round();
    if (!this.#sharing.isClosing) this.#sharing.rounds.start();
  }

  /** Exchanges what is due now. Rejects when that fails; it goes on by itself all the same. */
  sync(): Promise<void> {
    return this.#sharing.rounds.round();
  }

  /** What this process counted in the current period and has not shared, as far as known. */
  unpushedAll(backend: string): Usage<D> {
    const row = this.rowOf(backend);
    return this.usage((place) => this.#sharing.replication.unpushed(this.cellOf(row, place)));
  }

  /**
   * Whether Redis is being tried; `false` after too many failures in a row, until a probe goes through. Stays `true` while
   * some counts cannot be used: see `refused`.
   */
  isHealthy(): boolean {
    return this.#sharing.rounds.isHealthy;
  }

  /**
   * The backends whose shared counts could not be used when they were last tried: their key is spoilt, or on a node of the
   * cluster that is away. They are tried again every `probeIntervalMs`.
   */
  refused(): readonly string[] {
    const { replication } = this.#sharing;
    if (!replication.current().hasRefused()) return [];
    return this.backends().filter((backend) => replication.isRefused(this.rowOf(backend)));
  }

  /**
   * What is wrong now: why Redis is not being tried, or what else it keeps from being done (see the event `failed`). Undefined
   * while all is well.
   */
  lastError(): unknown {
    return this.#sharing.rounds.lastError ?? this.#sharing.chores.lastError;
  }

  /** When all counts, less those that are refused, were last exchanged, in milliseconds since the Unix epoch. */
  sharedAtMs(): number | undefined {
    return this.#sharing.rounds.sharedAtMs;
  }

  override async tallies(): Promise<readonly Tally[]> {
    this.drainBy("tallies");
    // fault: stores nothing while Redis is away
    const found = this.#sharing.isSharing ? await this.#sharing.flushes.find() : [];
    return this.#sharing.flushes.take(await super.tallies(), found);
  }

  override confirm(stored: readonly Tally[]): void {
    super.confirm(stored);
    void this.#sharing.flushes.stored(stored, this.#sharing.isSharing);
  }

  override learn(
    period: string,
    stored: ReadonlyMap<string, StoredUsage<D>>,
    asked?: readonly string[],
  ): readonly string[] {
    const wanted = super.learn(period, stored, asked);
    if (!this.#sharing.isSharing) return wanted;
    const shared = this.#sharing.replication.current();
    if (shared.cells.period.key !== period) return wanted;
    this.#sharing.hydration.noteLacks(shared, stored.keys(), this.store.of(shared.cells).others);
    return [...new Set([...wanted, ...this.#sharing.hydration.wanted(shared)])];
  }

  override async absorb(rows: readonly Tally[]): Promise<void> {
    await super.absorb(rows);
    if (this.#sharing.isSharing) await this.#sharing.chores.run("hydrate", () => this.#sharing.hydration.bring(rows));
  }

  override setLimits(backend: string, limits: Limits<D>): void {
    this.#limited(backend, () => super.setLimits(backend, limits));
  }

  override setCredit(period: string, backend: string, amounts: Partial<Usage<D>>): void {
    this.takeOverTime();
    this.#limited(backend, () => super.setCredit(period, backend, amounts));
  }

  override standing(backend: string): Standing<D> {
    const row = this.rowOf(backend);
    const { replication, isExact } = this.#sharing;
    const amounts = replication.slices.forgivenOf(replication.current(), row);
    const forgiven = amounts && { forgiven: this.usage((place) => amounts[place] as number) };
    if (isExact) return { mode: "exact", ...this.#sharing.standing(row), ...forgiven };
    const asOf = this.sharedAtMs();
    return { mode: "approximate", ...(asOf !== undefined && { asOf }), ...forgiven };
  }

  /**
   * Gives to others what dead instances keep from them in the current period: slices, and what open holds kept free. What those
   * used of it and did not live to say is counted by nobody then, so limits may be passed by as much: `standing` says by how much.
   * Whoever was taken for dead and lives stops using it as soon as it hears of it.
   *
   * @returns Of each writer what was written off; again nothing where that was done before.
   * @throws UnknownBackendError for a backend that is not held. Rejects where Redis is away.
   */
  async forgive(backend: string, options: ForgiveOptions = {}): Promise<readonly Forgiven<D>[]> {
    const forgiven = await this.#sharing.forgiving.forgive(this.rowOf(backend), options);
    return forgiven.map(({ writer, amounts }) => ({ writer, usage: this.usage((place) => amounts[place] as number) }));
  }

  /** Also deletes what all instances shared of the backend: discard it on all of them. */
  override discard(backend: string): void {
    super.discard(backend);
    this.#sharing.discard(backend, this.rowOf(backend));
  }

  /** Shares what is left, as far as Redis can be reached, and ends. Counting goes on; the client stays open. */
  close(): Promise<void> {
    return this.#sharing.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  protected override async recall(
    names: readonly string[],
    read: ReadRows,
    { whenUnknown = "reject" }: EnsureOptions<D>,
  ): Promise<() => void> {
    const shared = this.#sharing.replication.current();
    const recalled = await this.#sharing.recall.ask(shared, names, read, whenUnknown);
    return () => {
      for (const name of names) {
        if (this.rows.find(name) === undefined) this.#holdRecalled(shared, name, recalled(name));
      }
    };
  }

  protected override admit(name: string, known: KnownUsage | undefined): number {
    const row = super.admit(name, known);
    this.#sharing.replication.hold(row);
    return row;
  }

  protected override canLetGo(row: number): boolean {
    return super.canLetGo(row) && this.#sharing.isSharing && this.#sharing.replication.isInStep(row);
  }

  protected override letGo(row: number): void {
    this.#sharing.replication.letGo(row);
    super.letGo(row);
  }

  protected override noRoom(row: number, amounts: Float64Array): void {
    this.#sharing.replication.slices.noRoom(row, amounts);
  }

  protected override unstored(row: number, place: number): number {
    // fault: sends to Redis in the request path
    const cells = this.periods.current();
    const cell = this.cellOf(row, place);
    const [store, redis] = [this.store.of(cells), this.#sharing.replication.hop.of(cells)];
    const others = Math.max(0, (redis.others[cell] as number) - (store.others[cell] as number));
    return super.unstored(row, place) + others;
  }

  protected override storeLost(): void {
    this.#sharing.flushes.storeLost();
  }

  /** What is granted to a slice follows from the limits, with what was granted for the period. */
  #limited(backend: string, change: () => void): void {
    const before = this.limitsOf(backend);
    change();
    const now = this.limitsOf(backend);
    const isLower = this.dimensions.some((dimension) => {
      return (now[dimension] ?? UNLIMITED) < (before[dimension] ?? UNLIMITED);
    });
    this.#sharing.replication.slices.limited(this.#sharing.replication.current(), this.rowOf(backend), isLower);
  }

  #holdRecalled(shared: SharedPeriod, name: string, { merged, rows }: Recalled): void {
    const stored = this.amountsOf(rows?.find(({ writer }) => writer === this.writer)?.usage);
    // Only where both answered, nobody can have a larger tally of ours.
    // fault: goes on under its name from what one replica alone knows
    const isKnown = merged !== undefined && rows !== undefined;
    const mine = stored.map((amount, place) => Math.max(amount, merged?.own[place] ?? 0));
    const row = this.admit(name, isKnown ? { mine, stored } : undefined);
    if (rows !== undefined) this.store.raiseBy(shared.cells, row, rows);
    if (merged !== undefined) this.#sharing.recall.takeUp(shared, name, row, merged);
  }
}
