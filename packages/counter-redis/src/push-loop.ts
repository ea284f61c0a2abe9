import type { Clock, LocalCounterBackend, Period } from "@usage/counter-core";
import { Circuit } from "./circuit.ts";
import { NotConnectedError } from "./errors.ts";
import type { RedisMessage } from "./events.ts";
import { Exchanges } from "./exchanges.ts";
import { RETENTION_MS } from "./retention.ts";
import type { PushPlan, SharedBackend } from "./shared-backend.ts";
import type { MergeReply, MergeRequest, SharedCounts } from "./shared-counts.ts";
import { SharedPeriod } from "./shared-period.ts";

export interface PushLoopOptions {
  /** The least time between two rounds, in milliseconds. @default 25 */
  readonly syncIntervalMs?: number;
  /** How old a backend's shared counts may become, as far as the loop keeps up, in milliseconds. @default 250 */
  readonly refreshIntervalMs?: number;
  /** The longest wait for one reply, in milliseconds. @default 1_000 */
  readonly pushTimeoutMs?: number;
  /** Rounds that may fail in a row before it stops trying. @default 3 */
  readonly failureThreshold?: number;
  /** The time between two probes then, in milliseconds; also between two attempts at refused counts. @default 1_000 */
  readonly probeIntervalMs?: number;
}

interface PushLoopParts {
  readonly local: LocalCounterBackend<string>;
  readonly counts: SharedCounts;
  readonly clock: Clock;
  readonly publish: (message: RedisMessage) => void;
}

export const DEFAULT_PUSH_TIMEOUT_MS = 1_000;
const MAX_MS = 2 ** 31 - 1;
const REGISTER_INTERVAL_MS = 60_000;

/** Keeps what this process counted and the shared counts in step: one round after the other, one exchange at a time. */
export class PushLoop {
  readonly #parts: PushLoopParts;
  readonly #refreshIntervalMs: number;
  readonly #syncIntervalMs: number;
  readonly #probeIntervalMs: number;
  readonly #circuit: Circuit;
  readonly #exchanges: Exchanges;
  #periods: readonly SharedPeriod[] = [];
  /** Shared counts that are to be deleted, each once: a backend may be discarded at every flush while Redis is away. */
  readonly #discarded = new Map<string, { readonly period: Period; readonly backend: string }>();
  #running = false;
  #cancelTimer = (): void => {};
  #tick: Promise<void> = Promise.resolve();
  #wholeAtMs: number | undefined;
  /** Why Redis is away, as far as told: each reason once. */
  readonly #told = new Set<string>();

  /** @throws RangeError for a time or a number that is out of range. */
  constructor(parts: PushLoopParts, options: PushLoopOptions) {
    const { syncIntervalMs = 25, refreshIntervalMs = 250, pushTimeoutMs = DEFAULT_PUSH_TIMEOUT_MS } = options;
    const { failureThreshold = 3, probeIntervalMs = 1_000 } = options;
    for (const [name, ms] of Object.entries({ syncIntervalMs, refreshIntervalMs, pushTimeoutMs, probeIntervalMs })) {
      if (!(ms >= 1 && ms <= MAX_MS)) throw new RangeError(`${name} must be from 1 to 2^31-1, got ${String(ms)}`);
    }
    if (!(Number.isInteger(failureThreshold) && failureThreshold >= 1)) {
      throw new RangeError(`failureThreshold must be a whole number from 1, got ${String(failureThreshold)}`);
    }
    this.#parts = parts;
    this.#syncIntervalMs = syncIntervalMs;
    this.#refreshIntervalMs = refreshIntervalMs;
    this.#probeIntervalMs = probeIntervalMs;
    this.#circuit = new Circuit(failureThreshold);
    this.#exchanges = new Exchanges(parts.clock, pushTimeoutMs);
  }

  /** Whether it still tries. */
  get isHealthy(): boolean {
    return !this.#circuit.isOpen;
  }

  /** Why it stopped trying. */
  get lastError(): unknown {
    return this.#circuit.error;
  }

  /** When a round last went through as a whole, in milliseconds since the Unix epoch. */
  get wholeAtMs(): number | undefined {
    return this.#wholeAtMs;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#wait();
  }

  /**
   * Ends the loop after one more round, so that what can be pushed is. Does not reject: what cannot be pushed is told, unless it
   * is known already that Redis is away, and stays in the tallies.
   */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#cancelTimer();
    await this.#tick;
    const isKnown = !this.isHealthy;
    // fault: closes without sharing what is left
    await this.round().catch((error: unknown) => {
      const isLeft = this.#periods.some(({ backends }) => backends.some((backend) => backend.isChanged()));
      if (isLeft && !isKnown) this.#parts.publish({ event: "failed", chore: "close", error });
    });
  }

  /** The periods that are held, the current one last. */
  periods(): readonly SharedPeriod[] {
    const { local } = this.#parts;
    const names = local.backends();
    this.#periods = local.periods().map((counts) => {
      const known = this.#periods.find((shared) => shared.isOf(counts));
      const shared = known ?? new SharedPeriod(counts, local.dimensions);
      shared.grow(names);
      return shared;
    });
    for (const ended of this.#periods.slice(0, -1)) ended.close();
    return this.#periods;
  }

  current(): SharedPeriod {
    return this.periods().at(-1) as SharedPeriod;
  }

  /** Pushes everything that is due. Rejects, with what failed first, when a push fails, or anything else did. */
  async round(): Promise<void> {
    // A probe is one backend: commands to a server that hangs stay with the client.
    const isProbe = !this.isHealthy;
    const failures = isProbe ? [] : await this.#tend();
    await this.#pushDue(isProbe).catch((error: unknown) => {
      // What failed first tells why: after it, the client may not be connected any more.
      throw failures[0] ?? error;
    });
    if (isProbe) failures.push(...(await this.#tend()));
    if (failures.length > 0) throw failures[0];
    this.#wholeAtMs = this.#parts.clock.now();
  }

  /**
   * Sees to what is no count, and answers what failed: it must not hold up counts. Where the former cannot be used, the latter
   * may be: in a cluster, they may be on other nodes.
   */
  async #tend(): Promise<unknown[]> {
    const failures: unknown[] = [];
    await this.#deleteDiscarded().catch((error: unknown) => void failures.push(error));
    for (const shared of this.periods()) {
      if (this.#parts.clock.now() >= shared.period.end + RETENTION_MS) continue;
      await this.#register(shared).catch((error: unknown) => {
        shared.registered = 0;
        failures.push(error);
      });
    }
    return failures;
  }

  async #pushDue(isProbe: boolean): Promise<void> {
    const { clock, counts } = this.#parts;
    const nowMs = clock.now();
    const held = this.periods();
    let batchSize = isProbe ? 1 : counts.batchSize;
    for (const shared of held) {
      if (nowMs >= shared.period.end + RETENTION_MS) continue;
      const plan: PushPlan = {
        isCurrent: shared === held.at(-1),
        refreshIntervalMs: this.#refreshIntervalMs,
        retryIntervalMs: this.#probeIntervalMs,
      };
      let batch: SharedBackend[] = [];
      for (const backend of shared.backends) {
        if (!backend.isDue(nowMs, plan)) continue;
        batch.push(backend);
        if (batch.length < batchSize) continue;
        await this.push(shared, batch);
        batch = [];
        batchSize = counts.batchSize;
      }
      if (batch.length > 0) await this.push(shared, batch);
    }
  }

  /** Sends these backends' tallies in one call, and takes the replies. */
  async push(
    shared: SharedPeriod,
    backends: readonly SharedBackend[],
    requestOf: (backend: SharedBackend) => MergeRequest = (backend) => backend.request(),
  ): Promise<void> {
    const { counts } = this.#parts;
    let requests: readonly MergeRequest[] = [];
    await this.exchange(
      () => {
        requests = backends.map(requestOf);
        return counts.merge(shared.period, requests);
      },
      (outcomes) => this.#take(shared, backends, requests, outcomes),
    );
  }

  /** One exchange in turn with all others. */
  exchange<T, R>(exchange: () => Promise<T>, then: (reply: T) => R): Promise<R> {
    return this.#exchanges.run(exchange, then);
  }

  /** Deletes the shared counts of a backend, in the periods that are held and the one before them, as soon as it can. */
  discard(backend: string, previous: Period): void {
    for (const period of [previous, ...this.periods().map(({ period }) => period)]) {
      this.#discarded.set(JSON.stringify([period.start, backend]), { period, backend });
    }
  }

  async #deleteDiscarded(): Promise<void> {
    for (const [key, discarded] of this.#discarded) {
      const { period, backend } = discarded;
      await this.exchange(
        () => this.#parts.counts.forget(period, backend),
        () => {
          for (const held of this.periods()) if (held.period.start === period.start) held.find(backend).forget();
          if (this.#discarded.get(key) === discarded) this.#discarded.delete(key);
        },
      );
    }
  }

  /** Again every minute: Redis can lose this without losing anything by which that is noticed. */
  async #register(shared: SharedPeriod): Promise<void> {
    const nowMs = this.#parts.clock.now();
    if (Math.abs(nowMs - shared.registeredAtMs) >= REGISTER_INTERVAL_MS) shared.registered = 0;
    const { registered } = shared;
    const missing = shared.backends.slice(registered).map(({ name }) => name);
    if (missing.length === 0) return;
    await this.exchange(
      () => this.#parts.counts.register(shared.period, missing),
      () => {
        // Others may be lost since, or registered by another round.
        if (shared.registered === registered) shared.registered += missing.length;
        shared.registeredAtMs = nowMs;
      },
    );
  }

  #take(
    shared: SharedPeriod,
    backends: readonly SharedBackend[],
    requests: readonly MergeRequest[],
    outcomes: readonly (MergeReply | Error)[],
  ): void {
    const nowMs = this.#parts.clock.now();
    const period = shared.period.key;
    const lost: string[] = [];
    outcomes.forEach((outcome, i) => {
      const backend = backends[i] as SharedBackend;
      if (!(outcome instanceof Error)) {
        if (backend.take(requests[i] as MergeRequest, outcome, nowMs)) lost.push(backend.name);
      } else if (backend.refuse(nowMs)) {
        this.#parts.publish({ event: "refused", period, backend: backend.name, error: outcome });
      }
    });
    if (lost.length === 0) return;
    // The pushes that go on anyway make the counts whole again; who was registered they do not tell.
    for (const held of this.periods()) held.registered = 0;
    this.#parts.publish({ event: "lost", period, backends: lost });
  }

  #wait(): void {
    const delayMs = this.isHealthy ? this.#syncIntervalMs : this.#probeIntervalMs;
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => {
      this.#tick = this.#roundAsScheduled();
    });
  }

  async #roundAsScheduled(): Promise<void> {
    try {
      await this.round();
      this.#told.clear();
      if (this.#circuit.succeeded()) this.#parts.publish({ event: "healthy" });
    } catch (error) {
      this.#failed(error);
    }
    if (this.#running) this.#wait();
  }

  #failed(error: unknown): void {
    const hasOpened = this.#circuit.failed(error);
    if (this.isHealthy) return;
    const reason = reasonOf(error);
    const isNew = reason !== undefined && !this.#told.has(reason);
    if (reason !== undefined) this.#told.add(reason);
    if (hasOpened || isNew) this.#parts.publish({ event: "unhealthy", error });
  }
}

/** What an error says of the cause; nothing where a client has not told yet why it is not connected. */
function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof NotConnectedError)) return String(error);
  return error.cause === undefined ? undefined : String(error.cause);
}
