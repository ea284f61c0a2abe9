import type { RedisClient } from "@usage/counter-redis";
import { DurationBuckets } from "./duration-buckets.ts";

/** In seconds. */
export const REDIS_BOUNDS: readonly number[] = [
  0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
];

/** A client that knows how long its commands took, the failed ones as well. */
export class TimedRedis implements RedisClient {
  readonly durations: DurationBuckets = new DurationBuckets(REDIS_BOUNDS);
  readonly #client: RedisClient;

  constructor(client: RedisClient) {
    this.#client = client;
  }

  get status(): string {
    return this.#client.status;
  }

  get isCluster(): boolean {
    return this.#client.isCluster;
  }

  async call(command: string, args: (string | number)[]): Promise<unknown> {
    const start = performance.now();
    try {
      return await this.#client.call(command, args);
    } finally {
      this.durations.observe(performance.now() - start);
    }
  }

  on(event: "error", listener: (error: Error) => void): void {
    this.#client.on?.(event, listener);
  }

  off(event: "error", listener: (error: Error) => void): void {
    this.#client.off?.(event, listener);
  }
}
