import { randomUUID } from "node:crypto";
import { type RedisConnectOptions, RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import type {} from "@usage/test-servers/redis-setup";
import { Redis } from "ioredis";
import { inject, onTestFinished } from "vitest";

/** A connection with the recommended options, closed when the test is over. */
export async function client(url: string = inject("redisUrl"), options: object = {}): Promise<Redis> {
  const redis = new Redis(url, { ...recommendedClientOptions, ...options });
  // Tests break the connection on purpose.
  redis.on("error", () => {});
  onTestFinished(() => redis.disconnect());
  if (redis.status !== "ready") await new Promise((resolve) => redis.once("ready", resolve));
  return redis;
}

/** One that waits for its replies: to look at Redis, and where a busy machine must not pass for a Redis that is away. */
export function patientClient(url: string = inject("redisUrl"), options: object = {}): Promise<Redis> {
  return client(url, { commandTimeout: 30_000, socketTimeout: 60_000, ...options });
}

/** No other test's keys begin with it. */
export function freshPrefix(): string {
  return `test-${randomUUID()}`;
}

/** A counter with a connection of its own, closed when the test is over: a patient one, since nobody ends the run's Redis. */
export async function counter(
  options: Partial<RedisConnectOptions> & { readonly prefix: string },
): Promise<RedisCounterBackend> {
  const connected = await RedisCounterBackend.connect({
    backends: ["oci", "b2"],
    ...options,
    client: options.client ?? (await patientClient()),
  });
  onTestFinished(() => connected.close());
  return connected;
}

/** As many counters on connections of their own. */
export function manyCounters(
  count: number,
  options: Partial<RedisConnectOptions> & { readonly prefix: string },
): Promise<RedisCounterBackend[]> {
  return Promise.all(Array.from({ length: count }, () => counter(options)));
}
