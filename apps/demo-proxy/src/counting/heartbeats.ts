import { hostname } from "node:os";
import type { Clock, UsageStore } from "@usage/counter-core";
import type { UsageTracker } from "@usage/tracker";
import { type Address, formatAddress } from "../config/address.ts";
import { packageVersion } from "../log/version.ts";

export interface HeartbeatsOptions {
  readonly tracker: Pick<UsageTracker, "counter" | "onFlush">;
  /** One that keeps no instances is told nothing. */
  readonly store: Pick<UsageStore, "heartbeat">;
  readonly clock: Pick<Clock, "now">;
  /** When this run began, in milliseconds since the Unix epoch. */
  readonly startedMs: number;
  /** Where it listens. */
  readonly address: () => Address;
}

/** However often usage is stored, the store hears no more often that this instance is there. */
const LEAST_MS = 10_000;

/** Tells the store that this instance is there: when it begins, with its flushes, and when it ends. What fails is told with a later flush. */
export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  readonly #flushes: Disposable;
  #sending: Promise<void> = Promise.resolve();
  #isStoring = true;
  #begunMs = Number.NEGATIVE_INFINITY;
  #lastMs: number | undefined;

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
    this.#flushes = options.tracker.onFlush(({ error }) => {
      this.#isStoring = error === undefined;
      if (this.#isStoring && options.clock.now() - this.#begunMs >= LEAST_MS) this.beat();
    });
  }

  /** When the store last heard of this instance, by this instance's clock; undefined where it has not yet. */
  get lastMs(): number | undefined {
    return this.#lastMs;
  }

  /** Tells it now, without being waited for. */
  beat(): void {
    this.#begunMs = this.#options.clock.now();
    this.#sending = this.#sending.then(() => this.#send({}));
  }

  /** Says that it ends, where the store takes anything. Does not reject. */
  async stop(): Promise<void> {
    this.#flushes[Symbol.dispose]();
    await this.#sending;
    if (this.#isStoring) await this.#send({ stoppedAt: this.#options.clock.now() });
  }

  async #send(end: { readonly stoppedAt?: number }): Promise<void> {
    const { store, tracker, clock, startedMs, address } = this.#options;
    const labels = {
      version: packageVersion(),
      host: hostname(),
      pid: String(process.pid),
      address: formatAddress(address()),
    };
    try {
      await store.heartbeat?.({ id: tracker.counter.writer, startedAt: startedMs, labels, ...end });
      this.#lastMs = clock.now();
    } catch {
      // Usage goes before: whether that is stored, its flush tells.
    }
  }
}
