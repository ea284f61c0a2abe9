import { setTimeout as sleep } from "node:timers/promises";
import { type PeriodScheme, utcDays, utcMonths } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { type RedisConnectOptions, RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import {
  type FaultProxy,
  type PostgresServer,
  type RedisServer,
  startFaultProxy,
  startPostgres,
  startRedis,
} from "@usage/test-servers";
import { type OpenWindowsOptions, openUsage, type WindowedUsage } from "@usage/tracker";
import { Redis } from "ioredis";
import type { OnFinished } from "./fleet-on.ts";

/** What passes of the clock in a step; no less does of the time: on a busy machine the clock is slow, and never hasty. */
const STEP_MS = 20;

/** Two servers, each behind proxies of its own, and a clock that all instances share. */
export class WindowsFleet {
  readonly clock: ManualClock;
  readonly redis: RedisServer;
  readonly postgres: PostgresServer;
  /** The way of all instances to the database. */
  readonly database: FaultProxy;
  readonly #onFinished: OnFinished;
  #isOver = false;

  private constructor(
    start: string,
    servers: Pick<WindowsFleet, "redis" | "postgres" | "database">,
    onFinished: OnFinished,
  ) {
    this.clock = new ManualClock(start);
    this.redis = servers.redis;
    this.postgres = servers.postgres;
    this.database = servers.database;
    this.#onFinished = onFinished;
  }

  static async start(start: string, onFinished: OnFinished): Promise<WindowsFleet> {
    const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
    onFinished(() => redis.stop());
    onFinished(() => postgres.stop());
    const database = await proxyOf(postgres.url, onFinished);
    const fleet = new WindowsFleet(start, { redis, postgres, database }, onFinished);
    void fleet.#run();
    onFinished(() => {
      fleet.#isOver = true;
    });
    return fleet;
  }

  /** An instance with a way of its own to Redis. */
  async open<W extends string>(
    options: Pick<OpenWindowsOptions<Dimension, W>, "windows" | "defaults">,
    { exact = [], ...redis }: Partial<RedisConnectOptions> & { readonly exact?: readonly W[] } = {},
  ): Promise<Instance<W>> {
    const way = await proxyOf(this.redis.url, this.#onFinished);
    const { clock } = this;
    const client = new Redis(way.url(this.redis.url), recommendedClientOptions);
    client.on("error", () => {});
    const store = await openPostgresStore(this.database.url(this.postgres.url), { timeoutMs: 2_000 });
    const usage = await openUsage<W>({
      ...options,
      counter: (periods: PeriodScheme, window) => {
        const enforcement = exact.includes(window) ? "exact" : "approximate";
        return RedisCounterBackend.connect({ client, clock, periods, enforcement, ...redis });
      },
      store,
      clock,
      intervalMs: 300,
      nearLimitIntervalMs: 300,
      timeoutMs: 2_000,
    });
    this.#onFinished(async () => {
      await usage.close().catch(() => {});
      client.disconnect();
      await store.close();
    });
    await usage.ensure("acme");
    return { usage, way, store };
  }

  /** Waits until the clock shows it. */
  async until(time: string): Promise<void> {
    while (this.clock.now() < Date.parse(time)) await sleep(5);
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      await sleep(STEP_MS);
      this.clock.advance(STEP_MS);
    }
  }
}

type Dimension = "apiRequests" | "egressBytes" | "ingressBytes";

export interface Instance<W extends string> {
  readonly usage: WindowedUsage<Dimension, W>;
  /** To Redis. */
  readonly way: FaultProxy;
  readonly store: Awaited<ReturnType<typeof openPostgresStore>>;
}

async function proxyOf(url: string, onFinished: OnFinished): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ port: Number(new URL(url).port) });
  onFinished(() => proxy.close());
  return proxy;
}

export const MONTH_AND_DAY = { month: utcMonths, day: utcDays };
