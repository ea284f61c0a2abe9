import type { Clock } from "@usage/counter-core";
import { assertDelay } from "@usage/counter-core/internal";
import type { ReplicationOptions } from "../options.ts";
import { NotConnectedError } from "../server/errors.ts";
import { BUCKETS } from "../server/keys.ts";
import type { BucketState } from "./bucket-state.ts";
import { Circuit } from "./circuit.ts";
import type { RedisEvent } from "./events.ts";
import { Pace } from "./pace.ts";
import type { Polls } from "./polls.ts";
import type { Pushes } from "./pushes.ts";
import type { Replication } from "./replication.ts";

/** Where `syncIntervalMs` is absent. */
export const SYNC_INTERVAL_MS = 25;
const LOOK_INTERVAL_MS = 1_000;
/** Before a round for which somebody waits. */
const SOON_MS = 1;

export interface RoundsParts {
  readonly replication: Replication;
  readonly pushes: Pushes;
  readonly polls: Polls;
  readonly clock: Clock;
  readonly emit: (event: RedisEvent) => void;
  /** Done in each round after what is due was pushed: what keeps slices from being granted goes. */
  readonly ready: () => Promise<void>;
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
  #isWaiting = false;
  #isHastened = false;
  #cancelTimer = (): void => {};
  #round: Promise<void> = Promise.resolve();
  readonly #polls: Pace;
  readonly #looks: Pace;
  readonly #retries: Pace;
  /** Buckets that are swept with each look. */
  readonly #swept: number;
  #nextSwept = 0;
  #sharedAtMs: number | undefined;
  /** Why Redis is away, as far as told: each reason once. */
  readonly #told = new Set<string>();

  /** @throws RangeError for a time or a number that is out of range. */
  constructor(parts: RoundsParts, options: ReplicationOptions) {
    const {
      syncIntervalMs = SYNC_INTERVAL_MS,
      pollIntervalMs = 50,
      probeIntervalMs = 1_000,
      failureThreshold = 3,
    } = options;
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

  /** Why it stopped trying. */
  get lastError(): unknown {
    return this.#circuit.error;
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

  /**
   * Ends after one more push, so that what can be shared is. Does not reject: what cannot be shared is told, unless it is known
   * already that Redis is away, and stays in the tallies.
   */
  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#cancelTimer();
    await this.#round;
    const { pushes, tend, emit } = this.#parts;
    const isKnown = !this.isHealthy;
    try {
      // fault: closes without sharing what is left
      await pushes.pushDue();
      await tend();
    } catch (error) {
      if (pushes.isAnythingLeft() && !isKnown) emit({ kind: "failed", chore: "close", error });
    }
  }

  /** Somebody waits for the next round. */
  hasten(): void {
    if (this.#isHastened || !this.#isRunning || !this.isHealthy) return;
    this.#isHastened = true;
    if (!this.#isWaiting) return;
    this.#cancelTimer();
    this.#wait();
  }

  /** Exchanges what is due now, whatever the mode. Rejects when that fails. */
  async round(): Promise<void> {
    const { pushes, polls, clock, tend, ready } = this.#parts;
    if (!this.isHealthy) await polls.probe();
    if (this.#retries.isDue()) {
      pushes.retryRefused();
      void polls.retryAway();
    }
    await pushes.pushDue();
    await ready();
    await this.#look();
    await tend();
    this.#sharedAtMs = clock.now();
  }

  async #look(): Promise<void> {
    const { replication, polls } = this.#parts;
    if (this.#polls.isDue()) await polls.poll(replication.current());
    if (!this.#looks.isDue()) return;
    for (const shared of replication.periods()) {
      await polls.lookAtAll(shared);
      for (let i = 0; i < this.#swept; i++) {
        await polls.sweep(shared, shared.buckets[(this.#nextSwept + i) % BUCKETS] as BucketState);
      }
    }
    this.#nextSwept = (this.#nextSwept + this.#swept) % BUCKETS;
  }

  #wait(): void {
    const syncIntervalMs = this.#isHastened ? SOON_MS : this.#syncIntervalMs;
    const delayMs = this.isHealthy ? syncIntervalMs : this.#probeIntervalMs;
    this.#isWaiting = true;
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => {
      this.#isWaiting = false;
      this.#isHastened = false;
      this.#round = this.#roundAsScheduled();
    });
  }

  async #roundAsScheduled(): Promise<void> {
    try {
      await this.round();
      this.#told.clear();
      if (this.#circuit.succeeded()) this.#parts.emit({ kind: "healthy" });
    } catch (error) {
      this.#failed(error);
    }
    if (this.#isRunning) this.#wait();
  }

  #failed(error: unknown): void {
    // A round that has nothing to ask would pass for one that went through.
    this.#polls.again();
    const hasOpened = this.#circuit.failed(error);
    if (this.isHealthy) return;
    const reason = reasonOf(error);
    const isNew = reason !== undefined && !this.#told.has(reason);
    if (reason !== undefined) this.#told.add(reason);
    if (hasOpened || isNew) this.#parts.emit({ kind: "unhealthy", error });
  }
}

/** What an error says of the cause; nothing where a client has not told yet why it is not connected. */
function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof NotConnectedError)) return String(error);
  return error.cause === undefined ? undefined : String(error.cause);
}
