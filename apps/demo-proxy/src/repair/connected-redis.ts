import { once } from "node:events";
import type { Cluster, Redis } from "ioredis";
import type { RedisConfig } from "../config/proxy-config.ts";
import { CounterStartError } from "../counting/opened-counter.ts";
import { explained, redisClientOf } from "../counting/redis-client.ts";

const TIMEOUT_MS = 5_000;

/**
 * A client that is connected; the caller ends it.
 *
 * @throws CounterStartError that says why there is no connection, within 5 seconds.
 */
export async function connectedRedis(config: RedisConfig): Promise<Redis | Cluster> {
  const client = redisClientOf(config);
  let lastError: unknown;
  client.on("error", (error: unknown) => {
    lastError = error;
  });
  try {
    if (client.status !== "ready") await once(client, "ready", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return client;
  } catch (error) {
    client.disconnect();
    throw new CounterStartError(config, explained(lastError ?? error));
  }
}
