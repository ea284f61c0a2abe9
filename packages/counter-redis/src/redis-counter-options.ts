import type { Clock, PeriodScheme, StorageDimension } from "@usage/counter-core";
import type { PushLoopOptions } from "./push-loop.ts";
import type { RedisClient } from "./redis-client.ts";

export interface RedisCounterOptions<D extends string = StorageDimension> extends PushLoopOptions {
  readonly backends: Iterable<string>;
  /** What is counted; the same on every instance. @default STORAGE_DIMENSIONS */
  readonly dimensions?: readonly D[];
  /** How time is divided; the same on every instance. @default utcMonths */
  readonly periods?: PeriodScheme;
  /** @default systemClock */
  readonly clock?: Clock;
  /** This run's name. Only for simulations: no two runs may ever use the same. @default a new UUIDv7 */
  readonly writer?: string;
}

export interface RedisConnectOptions<D extends string = StorageDimension> extends RedisCounterOptions<D> {
  /** An ioredis `Redis` or `Cluster`; it stays yours to close. Give it a connection of its own. */
  readonly client: RedisClient;
  /** Begins every key. @default "usage" */
  readonly prefix?: string;
}
