import type { Clock } from "@usage/counter-core";
import { assertDelay } from "@usage/counter-core/internal";
import type { ReplicationOptions } from "../options.ts";
import { BUCKETS } from "../server/keys.ts";
import { Circuit } from "./circuit.ts";
import type { RedisEvent } from "./events.ts";
import type { Replication } from "./replication.ts";
import type { BucketState } from "./shared-period.ts";

const LOOK_INTERVAL_MS = 1_000;

export interface RoundsParts {
  readonly replication: Replication;
  readonly clock: Clock;
  readonly emit: (event: RedisEvent) => void;
  /** Done in each round, after what is due was pushed. */
  readonly tend: () => Promise<void>;
}

/**
 * Decides when counts are exchanged. It is in one of four modes:
 *
 * | mode    | what a round does | ends with |
 * | ------- | ----------------- | --------- |
 * | stopped | nothing; `round` is called by hand | `start` |
 * | healthy | pushes what is due, polls, looks at everything once a second | `stop`; so many failures in a row |
 * | probing | asks one bucket for its version, once a probe interval | `stop`; one success |
 * | closing | one last push | - |
 */
export class Rounds {
  readonly #parts: RoundsParts;
  readonly #syncIntervalMs: number;
  readonly #probeIntervalMs: number;
  readonly #circuit: Circuit;
  #isRunning = false;
  #cancelTimer = (): void => {};
  #round: Promise<void> = Promise.resolve();
  readonly #polls: Pace;
  readonly #looks: Pace;
  readonly #retries: Pace;
  /** Buckets that are swept with each look. */
  readonly #swept: number;
  #nextSwept = 0;
  #sharedAtMs: number | undefined;

  /** @throws RangeError for a time or a number that is out of range. */
  constructor(parts: RoundsParts, options: ReplicationOptions) {
    const { syncIntervalMs = 25, pollIntervalMs = 50, probeIntervalMs = 1_000, failureThreshold = 3 } = options;
    const { sweepIntervalMs = 60_000 } = options;
    const times = { syncIntervalMs, pollIntervalMs, probeIntervalMs, sweepIntervalMs };
    for (const [name, ms] of Object.entries(times)) assertDelay(name, ms);
    if (!(Number.isInteger(failureThreshold) && failureThreshold >= 1)) {
      throw new RangeError(`failureThreshold must be a whole number from 1, got ${String(failureThreshold)}`);
    }
    this.#parts = parts;
    this.#syncIntervalMs = syncIntervalMs;
    this.#polls = new Pace(parts.clock, pollIntervalMs);
    this.#looks = new Pace(parts.clock, LOOK_INTERVAL_MS);
    this.#retries = new Pace(parts.clock, probeIntervalMs);
    this.#probeIntervalMs = probeIntervalMs;
    this.#swept = Math.min(BUCKETS, Math.ceil((BUCKETS * LOOK_INTERVAL_MS) / sweepIntervalMs));
    this.#circuit = new Circuit(failureThreshold);
  }

  /** Whether Redis is still being tried. */
  get isHealthy(): boolean {
    return !this.#circuit.isOpen;
  }

  /** When a round last went through, in milliseconds since the Unix epoch. */
  get sharedAtMs(): number | undefined {
    return this.#sharedAtMs;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#wait();
  }

  /** Ends after one more push, so that what can be shared is. Does not reject. */
  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#cancelTimer();
    await this.#round;
    const { replication, tend } = this.#parts;
    // Whether it failed matters to nobody any more: what is not pushed is still in the tallies.
    await replication
      .pushDue()
      .then(tend)
      .catch(() => {});
  }

  /** Exchanges what is due now, whatever the mode. Rejects when that fails. */
  async round(): Promise<void> {
    const { replication, clock, tend } = this.#parts;
    if (!this.isHealthy) await replication.probe();
    if (this.#retries.isDue()) {
      replication.retryRefused();
      void replication.retryAway();
    }
    await replication.pushDue();
    await this.#look();
    await tend();
    this.#sharedAtMs = clock.now();
  }

  async #look(): Promise<void> {
    const { replication } = this.#parts;
    const current = replication.current();
    if (this.#polls.isDue()) await replication.poll(current);
    if (!this.#looks.isDue()) return;
    // Also where nothing seems to have changed: a server may have been another one in between.
    for (const shared of replication.periods()) {
      await replication.look(shared, replication.heldBuckets(shared));
      for (let i = 0; i < this.#swept; i++) {
        await replication.sweep(shared, shared.buckets[(this.#nextSwept + i) % BUCKETS] as BucketState);
      }
    }
    this.#nextSwept = (this.#nextSwept + this.#swept) % BUCKETS;
  }

  #wait(): void {
    const delayMs = this.isHealthy ? this.#syncIntervalMs : this.#probeIntervalMs;
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => {
      this.#round = this.#roundAsScheduled();
    });
  }

  async #roundAsScheduled(): Promise<void> {
    try {
      await this.round();
      if (this.#circuit.succeeded()) this.#parts.emit({ kind: "healthy" });
    } catch (error) {
      if (this.#circuit.failed(error)) this.#parts.emit({ kind: "unhealthy", error });
    }
    if (this.#isRunning) this.#wait();
  }
}

/** Something that is done at most once in an interval. A clock that was set back holds nothing up. */
class Pace {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** Whether it is time; if so, the interval begins again. */
  isDue(): boolean {
    const nowMs = this.#clock.now();
    if (Math.abs(nowMs - this.#lastMs) < this.#intervalMs) return false;
    this.#lastMs = nowMs;
    return true;
  }
}
