import { RedisCounterBackend, recommendedClientOptions, recommendedClusterOptions } from "@usage/counter-redis";
import { Cluster, Redis } from "ioredis";
import type { RedisConfig } from "../config/proxy-config.ts";
import { type CounterOptions, CounterStartError, type OpenedCounter, type Sharing } from "./opened-counter.ts";
import { RedisEvents } from "./redis-events.ts";
import { TimedRedis } from "./timed-redis.ts";

/** How long a client waits for the server to close its side, also of a connection that is not there: no reply is due then. */
const disconnectTimeout = 100;

/** @throws CounterStartError when Redis cannot be reached or used, within 5 seconds; nothing is left open then. */
export async function openRedisCounter(config: RedisConfig, options: CounterOptions): Promise<OpenedCounter> {
  const client =
    "url" in config
      ? new Redis(config.url, { ...recommendedClientOptions, disconnectTimeout })
      : clusterOf(config.cluster);
  // Without a listener the client writes its errors to the console. Once it works, the counter tells what happens.
  let lastError: unknown;
  client.on("error", (error: unknown) => {
    lastError = error;
  });
  try {
    const timed = new TimedRedis(client);
    const counter = await RedisCounterBackend.connect({ ...options, client: timed, prefix: config.prefix });
    const sharing: Sharing = {
      isHealthy: () => counter.isHealthy(),
      lastError: () => counter.lastError(),
      sharedAtMs: () => counter.sharedAtMs(),
      unpushedAll: (backend) => counter.unpushedAll(backend),
      // Before anything is waited for: what happened while the counter was opened is told right after.
      events: new RedisEvents(counter.events),
      durations: timed.durations,
    };
    const close = async (): Promise<void> => {
      await counter.close();
      client.disconnect();
    };
    const addBackends = async (names: readonly string[]): Promise<void> => {
      counter.addBackends(names);
      // Where this fails the store tells, and the rest is known later. Why it fails, the counter's own next exchange tells.
      await counter.sync().catch(() => {});
    };
    return { counter, sharing, addBackends, close };
  } catch (error) {
    // Without a connection, only the client knows why there is none.
    const cause = client.status === "ready" ? error : (lastError ?? error);
    client.disconnect();
    throw new CounterStartError(config, explained(cause));
  }
}

/** The client learns the other nodes from the first one that answers: how to log in must not depend on the node. */
function clusterOf(urls: readonly string[]): Cluster {
  const { protocol, username, password } = new URL(urls[0] ?? "");
  const redisOptions = {
    ...recommendedClusterOptions.redisOptions,
    disconnectTimeout,
    ...(username !== "" && { username: decodeURIComponent(username) }),
    ...(password !== "" && { password: decodeURIComponent(password) }),
  };
  if (protocol === "redis:") return new Cluster([...urls], { ...recommendedClusterOptions, redisOptions });
  return new Cluster([...urls], {
    ...recommendedClusterOptions,
    redisOptions: { ...redisOptions, tls: {} },
    // Otherwise names become addresses first, and a certificate is for a name.
    dnsLookup: (host, found) => found(null, host),
  });
}

/** What is to be done in the configuration, by what the reason is in the words of Redis or of the counter. */
const REMEDIES: readonly (readonly [reason: RegExp, remedy: string])[] = [
  [/^NOAUTH/, "it demands a password; write redis://user:password@host, or redis://:password@host without a user"],
  [/^WRONGPASS/, "it refuses the user or password"],
  [/part of a cluster/, "it is part of a cluster; give counter.cluster instead of counter.url"],
];

function explained(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  // A cluster's client keeps the reason apart.
  if ("lastNodeError" in error && error.lastNodeError instanceof Error) return explained(error.lastNodeError);
  const [, remedy] = REMEDIES.find(([reason]) => reason.test(error.message)) ?? [];
  return remedy === undefined ? error : new Error(remedy, { cause: error });
}
