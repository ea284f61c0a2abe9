import {
  type EnsureOptions,
  type Event,
  type Period,
  type PeriodScheme,
  type ReadRows,
  STORAGE_DIMENSIONS,
  type StorageDimension,
  type StoredUsage,
  systemClock,
  type Tally,
  UnknownUsageError,
  type Usage,
  utcMonths,
} from "@usage/counter-core";
import { CounterBase, Emitter, heapParts } from "@usage/counter-core/internal";
import type { RedisConnectOptions, RedisCounterOptions } from "./options.ts";
import type { RedisEvent } from "./replication/events.ts";
import { Exchanges } from "./replication/exchanges.ts";
import { Hydration } from "./replication/hydration.ts";
import { type Found, Owing } from "./replication/owing.ts";
import { Replication } from "./replication/replication.ts";
import { Rounds } from "./replication/rounds.ts";
import type { BucketState, SharedPeriod } from "./replication/shared-period.ts";
import { begin } from "./server/connect.ts";
import { BUCKETS, type Bucket, bucketOf } from "./server/keys.ts";
import { RETENTION_MS, RedisSharedCounts } from "./server/redis-shared-counts.ts";
import type { MergedItem, SharedCounts } from "./server/shared-counts.ts";

/**
 * A local counter with a second hop: to Redis, through which instances share what they count.
 *
 * Recording and reading never wait for Redis and never fail because of it. While Redis is away, each instance goes on with its
 * own counts and the last known ones of the others; its tallies reach the store all the same.
 *
 * @example
 * const counter = await RedisCounterBackend.connect({ client: new Redis(url, recommendedClientOptions) });
 */
export class RedisCounterBackend<D extends string = StorageDimension> extends CounterBase<D> {
  readonly #counts: SharedCounts;
  readonly #periods: PeriodScheme;
  readonly #exchanges: Exchanges;
  readonly #replication: Replication;
  readonly #rounds: Rounds;
  readonly #hydration: Hydration;
  readonly #owing: Owing;
  readonly #events = new Emitter<RedisEvent>();
  /** Shared counts that are to be deleted, each once: a backend may be discarded at every flush while Redis is away. */
  readonly #discarded = new Map<string, Bucket & { readonly backend: string }>();
  #hasLookedBack = false;
  #isStoreLost = false;
  #sent: Sent | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Over any implementation of the shared counts; `connect` is the way over Redis. Counts at once, shares after `start`.
   *
   * @throws RangeError for an option that is out of range.
   */
  constructor(counts: SharedCounts, options: RedisCounterOptions<D> = {}) {
    const { backends = [], periods = utcMonths, pushTimeoutMs = 1_000 } = options;
    super(heapParts(backends, options, 2));
    const { clock, rows, writer: run } = this;
    const emit = (event: RedisEvent): void => this.#events.emit(event);
    this.#counts = counts;
    this.#periods = periods;
    this.#exchanges = new Exchanges(clock, pushTimeoutMs);
    const exchanges = this.#exchanges;
    const parts = { run, rows, periods: this.periods, tallies: this.tallyRows, counts, exchanges, clock, emit };
    this.#replication = new Replication(parts);
    this.#hydration = new Hydration(this.#replication, rows);
    this.#owing = new Owing({ run, counts, exchanges, clock });
    this.#rounds = new Rounds({ replication: this.#replication, clock, emit, tend: () => this.#tend() }, options);
    const current = this.#replication.current();
    for (let row = 0; row < rows.end; row++) current.apply(row, { kind: "changed" });
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
    const counts = new RedisSharedCounts({ client, prefix, dimensions, clock });
    const pollIntervalMs = options.pollIntervalMs ?? (client.isCluster ? 100 : 50);
    const counter = new RedisCounterBackend<D>(counts, { ...options, pollIntervalMs });
    try {
      await begin(client, () => counter.start());
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
    return this.backends().filter((backend) => {
      return current.buckets[bucketOf(backend)]?.isAway || current.isRefused(this.rowOf(backend));
    });
  }

  /** When all counts, less those that are refused, were last exchanged, in milliseconds since the Unix epoch. */
  sharedAtMs(): number | undefined {
    return this.#rounds.sharedAtMs;
  }

  override async tallies(): Promise<readonly Tally[]> {
    this.drainBy("tallies");
    const found = await this.#findOwed();
    const own = await super.tallies();
    // At the instant at which the tallies are taken: whatever of ours has a version up to that is in them.
    const seen = this.#replication.periods().flatMap(({ buckets }) => {
      return buckets
        .filter(({ owes }) => owes)
        .map((bucket) => ({ bucket, epoch: bucket.epoch, version: bucket.seen }));
    });
    this.#sent = { own, found, seen };
    return [...own, ...found.flatMap(({ tallies }) => tallies)];
  }

  override confirm(stored: readonly Tally[]): void {
    super.confirm(stored);
    const sent = this.#sent;
    this.#sent = undefined;
    if (sent !== undefined && this.#isSharing) void this.#report(sent, stored).catch(() => {});
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
    // Where Redis fails meanwhile, the rounds tell, and the next flush brings what is lacking then.
    if (this.#isSharing) await this.#hydration.bring(rows).catch(() => {});
  }

  /** Also deletes what all instances shared of the backend: discard it on all of them. */
  override discard(backend: string): void {
    super.discard(backend);
    const { start } = this.period();
    const periods = [this.#periods.at(start - 1), ...this.periods.all().map(({ period }) => period)];
    for (const period of periods) {
      const number = bucketOf(backend);
      this.#discarded.set(JSON.stringify([period.start, backend]), { period, number, backend });
    }
  }

  /** Shares what is left, as far as Redis can be reached, and ends. Counting goes on; the client stays open. */
  close(): Promise<void> {
    this.#closing ??= this.#rounds.stop();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Asks Redis and the store at once. One of them is enough: what is known is included, and counting goes under a new name. */
  protected override async recall(
    names: readonly string[],
    read: ReadRows,
    options: EnsureOptions<D>,
  ): Promise<() => void> {
    const shared = this.#replication.current();
    const marks = new Map(shared.buckets.map((bucket) => [bucket.number, bucket.epoch]));
    const [merged, rows] = await Promise.allSettled([this.#look(shared, names), read(shared.cells.period.key, names)]);
    if (merged.status === "rejected" && rows.status === "rejected" && options.whenUnknown !== "admit") {
      throw new UnknownUsageError(names, rows.reason);
    }
    const stored = rows.status === "fulfilled" ? Map.groupBy(rows.value, ({ backend }) => backend) : undefined;
    const found = merged.status === "fulfilled" ? merged.value : undefined;
    if (found !== undefined && stored !== undefined) {
      // Where something was lost, only both together are all that is known; where all was, others shall have it at once.
      const lacking = names.filter((name) => {
        const item = found.get(name);
        return item !== undefined && !item.isWhole && (item.exists || stored.has(name));
      });
      const whole = await this.#look(shared, lacking, (name) => ({
        rows: stored.get(name) ?? [],
        mark: marks.get(bucketOf(name)) ?? "",
      })).catch(() => new Map<string, MergedItem>());
      for (const [name, item] of whole) found.set(name, item);
    }
    return () => {
      for (const name of names) {
        if (this.rows.find(name) === undefined)
          this.#holdShared(shared, name, found?.get(name), stored && (stored.get(name) ?? []));
      }
    };
  }

  protected override canLetGo(row: number): boolean {
    return super.canLetGo(row) && this.#isSharing && this.#replication.isInStep(row);
  }

  protected override letGo(row: number): void {
    for (const shared of this.#replication.periods()) shared.clear(row);
    super.letGo(row);
  }

  protected override unstored(row: number, place: number): number {
    const cells = this.periods.current();
    const cell = this.cellOf(row, place);
    const [store, redis] = [this.store.of(cells), this.#replication.hop.of(cells)];
    const others = Math.max(0, (redis.others[cell] as number) - (store.others[cell] as number));
    return super.unstored(row, place) + others;
  }

  protected override storeLost(): void {
    this.#isStoreLost = true;
  }

  get #isSharing(): boolean {
    return this.#rounds.isHealthy && this.#closing === undefined;
  }

  #holdShared(
    shared: SharedPeriod,
    name: string,
    merged: MergedItem | undefined,
    rows: readonly Tally[] | undefined,
  ): void {
    const stored = this.amountsOf(rows?.find(({ writer }) => writer === this.writer)?.usage);
    // Only where both answered, nobody can have a larger tally of ours.
    const isKnown = merged !== undefined && rows !== undefined;
    const mine = stored.map((amount, place) => Math.max(amount, merged?.own[place] ?? 0));
    const row = this.hold(name, isKnown ? { mine, stored } : undefined);
    if (rows !== undefined) this.store.raiseBy(shared.cells, row, rows);
    if (merged !== undefined) {
      const own = isKnown ? merged.own : this.dimensions.map(() => 0);
      this.#replication.learnRow(shared, row, { ...merged, own }, own);
    }
    // Whatever happened since it was asked for is found with the next push.
    shared.apply(row, { kind: "changed" });
  }

  /** What is shared of backends that are not held, merged with what is brought. */
  async #look(
    shared: SharedPeriod,
    names: readonly string[],
    bring: (name: string) => { readonly rows?: readonly Tally[]; readonly mark?: string } = () => ({}),
  ): Promise<Map<string, MergedItem>> {
    const found = new Map<string, MergedItem>();
    if (names.length === 0) return found;
    if (!this.#isSharing) throw new Error("Redis is away");
    const byBucket = Map.groupBy(names, (name) => shared.buckets[bucketOf(name)] as BucketState);
    if ([...byBucket.keys()].some(({ isAway }) => isAway)) throw new Error("a node of the cluster is away");
    const own = this.dimensions.map(() => 0);
    const items = new Map(
      Array.from(byBucket, ([bucket, all]) => {
        return [bucket, all.map((backend) => ({ backend, writer: this.writer, own, ...bring(backend) }))] as const;
      }),
    );
    const failures = await this.#exchanges.each(
      [...byBucket.keys()],
      (bucket) => this.#counts.merge(bucket, this.writer, items.get(bucket) ?? []),
      (bucket, reply) => {
        this.#replication.take(shared, bucket, items.get(bucket) ?? [], reply);
        reply.items.forEach((item, i) => {
          if (!(item instanceof Error)) found.set(byBucket.get(bucket)?.[i] as string, item);
        });
      },
    );
    for (const [, error] of failures) throw error;
    return found;
  }

  #noteLack(shared: SharedPeriod, backend: string): void {
    const row = this.rows.find(backend);
    if (row === undefined) return;
    const { cells } = shared;
    const [store, redis] = [this.store.of(cells), this.#replication.hop.of(cells)];
    const isLacking = this.dimensions.some((_, place) => {
      const cell = this.cellOf(row, place);
      return (store.others[cell] as number) > (redis.others[cell] as number);
    });
    if (!isLacking) return;
    shared.apply(row, { kind: "lacking" });
    if (!shared.wantsRows(row)) shared.apply(row, { kind: "changed" });
  }

  async #findOwed(): Promise<readonly Found[]> {
    if (!this.#isSharing) return [];
    const periods = this.#periodsToExamine();
    try {
      const found = await this.#owing.find(periods);
      this.#hasLookedBack = true;
      return found;
    } catch {
      // Without Redis, what is owed is found at a later flush.
      return [];
    }
  }

  /** The current one and the one before; at first, all that may still be shared. */
  #periodsToExamine(): readonly Period[] {
    const nowMs = this.clock.now();
    const periods = [this.period()];
    for (;;) {
      const before = this.#periods.at((periods.at(-1) as Period).start - 1);
      if (nowMs >= before.end + RETENTION_MS) return periods;
      periods.push(before);
      if (this.#hasLookedBack) return periods;
    }
  }

  /** Tells Redis what is stored: everything of a bucket, or nothing of it. */
  async #report({ own, found, seen }: Sent, stored: readonly Tally[]): Promise<void> {
    const keyOf = ({ writer, period, backend }: Tally): string => JSON.stringify([writer, period, backend]);
    const keys = new Set(stored.map(keyOf));
    const refused = new Set(
      own.filter((tally) => !keys.has(keyOf(tally))).map(({ period, backend }) => `${period} ${bucketOf(backend)}`),
    );
    const mine = seen
      .filter(({ bucket }) => !refused.has(`${bucket.period.key} ${bucket.number}`))
      .map(({ bucket, epoch, version }) => ({
        bucket,
        epoch,
        run: this.writer,
        version,
        done: () => {
          bucket.owes = bucket.seen > version;
        },
      }));
    const others = found
      .filter(({ tallies }) => tallies.every((tally) => keys.has(keyOf(tally))))
      .map(({ bucket, epoch, owed }) => ({ bucket, epoch, run: owed.run, version: owed.last, done: () => {} }));
    await this.#exchanges.each(
      [...mine, ...others],
      ({ bucket, epoch, run, version }) => this.#counts.report(bucket, epoch, [{ run, version }]),
      ({ done }) => done(),
    );
  }

  /** What is no count, and must not hold up counts. */
  async #tend(): Promise<void> {
    for (const [key, discarded] of this.#discarded) {
      await this.#exchanges.run(
        () => this.#counts.forget(discarded, discarded.backend),
        () => {
          const row = this.rows.find(discarded.backend);
          if (row !== undefined) {
            for (const shared of this.#replication.periods()) {
              if (shared.cells.period.start !== discarded.period.start) continue;
              this.#replication.hop.forget(shared.cells, row);
              shared.apply(row, { kind: "renewed" });
            }
          }
          if (this.#discarded.get(key) === discarded) this.#discarded.delete(key);
        },
      );
    }
    if (!this.#isStoreLost) return;
    const periods = [this.period(), this.#periods.at(this.period().start - 1)];
    const buckets = periods.flatMap((period) =>
      Array.from({ length: BUCKETS }, (_, number): Bucket => ({ period, number })),
    );
    const failures = await this.#exchanges.each(
      buckets,
      (bucket) => this.#counts.oweAll(bucket),
      () => {},
    );
    if (failures.size === 0) this.#isStoreLost = false;
  }
}

/** What a flush has taken. */
interface Sent {
  readonly own: readonly Tally[];
  readonly found: readonly Found[];
  /** What of ours was pushed by then: the tallies that were taken are at least as large. */
  readonly seen: readonly { readonly bucket: BucketState; readonly epoch: string; readonly version: number }[];
}
