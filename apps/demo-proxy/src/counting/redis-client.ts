import { recommendedClientOptions, recommendedClusterOptions } from "@usage/counter-redis";
import { Cluster, Redis } from "ioredis";
import type { RedisAccount, RedisConfig, SentinelConfig } from "../config/proxy-config.ts";

/** How long a client waits for the server to close its side, also of a connection that is not there: no reply is due then. */
const disconnectTimeout = 100;

/** A client for the configured server, cluster or master, which begins to connect. */
export function redisClientOf(config: RedisConfig): Redis | Cluster {
  const ca = config.ca?.pem;
  const options = { ...recommendedClientOptions, disconnectTimeout };
  if ("url" in config) return new Redis(config.url, { ...options, ...(ca !== undefined && { tls: { ca } }) });
  if ("cluster" in config) return clusterOf(config.cluster, ca);
  return "socket" in config
    ? new Redis({ ...options, ...accountOf(config), path: config.socket })
    : new Redis({ ...options, ...accountOf(config), ...sentinelOptions(config.sentinel, config.tls, ca) });
}

function accountOf({ username, password, db }: RedisAccount) {
  return {
    ...(username !== undefined && { username }),
    ...(password && { password: password.reveal() }),
    ...(db !== undefined && { db }),
  };
}

/** The client asks one Sentinel after the other for the master, each time that it connects. */
function sentinelOptions(
  { name, nodes, username, password }: SentinelConfig,
  tls: boolean | undefined,
  ca: string | undefined,
) {
  const trust = ca === undefined ? {} : { ca };
  // A Sentinel that hangs must not keep the client from the next one.
  // fault: waits for ever for a Sentinel that hangs
  const sentinelCommandTimeout = recommendedClientOptions.commandTimeout;
  return {
    sentinels: [...nodes],
    name,
    sentinelCommandTimeout,
    sentinelRetryStrategy: recommendedClientOptions.retryStrategy,
    ...(username !== undefined && { sentinelUsername: username }),
    ...(password && { sentinelPassword: password.reveal() }),
    ...(tls === true && { tls: trust, sentinelTLS: trust, enableTLSForSentinelMode: true }),
  };
}

/** The client learns the other nodes from the first one that answers: how to log in must not depend on the node. */
function clusterOf(urls: readonly string[], ca: string | undefined): Cluster {
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
    redisOptions: { ...redisOptions, tls: ca === undefined ? {} : { ca } },
    // Otherwise names become addresses first, and a certificate is for a name.
    dnsLookup: (host, found) => found(null, host),
  });
}

/** What is to be done in the configuration, by what the reason is in the words of Redis or of the counter. */
const REMEDIES: readonly (readonly [reason: RegExp, remedy: string])[] = [
  [/^All sentinels .*: NOAUTH/s, "its Sentinels demand a password; see counter.sentinel.password"],
  [/^All sentinels .*: WRONGPASS/s, "its Sentinels refuse the user or password; see those of counter.sentinel"],
  [/^All sentinels .*: ERR No such master/s, "its Sentinels know no such master; see counter.sentinel.name"],
  [/^NOAUTH/, "it demands a password; write redis://user:password@host, or redis://:password@host without a user"],
  [/^WRONGPASS/, "it refuses the user or password; see those of counter, in its url or beside it"],
  [/part of a cluster/, "it is part of a cluster; give counter.cluster instead of counter.url"],
];

/** The error with what is to be done in the configuration, where that is known. */
export function explained(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  // A cluster's client keeps the reason apart.
  if ("lastNodeError" in error && error.lastNodeError instanceof Error) return explained(error.lastNodeError);
  const [, remedy] = REMEDIES.find(([reason]) => reason.test(error.message)) ?? [];
  return remedy === undefined ? error : new Error(remedy, { cause: error });
}
