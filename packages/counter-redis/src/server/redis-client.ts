/** What is used of a client: a `Redis` or `Cluster` of ioredis 5 or 6 is one. */
export interface RedisClient {
  /** `"ready"` while commands can be sent. */
  readonly status: string;
  readonly isCluster: boolean;
  /** Commands are in lower case: older releases of ioredis 5 put no `keyPrefix` before the keys of others. */
  call(command: string, args: (string | number)[]): Promise<unknown>;
  /** Listened to while a counter connects: why a client is not connected, only its `"error"` events tell. */
  on?(event: "error", listener: (error: Error) => void): unknown;
  off?(event: "error", listener: (error: Error) => void): unknown;
}

/**
 * Options for a connection that fails fast, notices a server that hangs, and recovers. No setting of the client can make a
 * count wrong; what these decide is how soon a counter knows that Redis is away, and that no commands pile up meanwhile.
 */
export const recommendedClientOptions: {
  readonly enableOfflineQueue: boolean;
  readonly autoResendUnfulfilledCommands: boolean;
  readonly maxRetriesPerRequest: number;
  readonly commandTimeout: number;
  readonly socketTimeout: number;
  readonly connectTimeout: number;
  readonly keepAlive: number;
  readonly retryStrategy: (attempt: number) => number;
  readonly reconnectOnError: (error: Error) => boolean;
} = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  commandTimeout: 400,
  // Only this one notices a server that hangs.
  socketTimeout: 600,
  connectTimeout: 500,
  keepAlive: 5_000,
  retryStrategy: (attempt) => Math.min(100 * 2 ** Math.min(attempt, 5), 2_000),
  // A master that became a replica keeps its connections, while its name leads to the new master. Redis 6.2 names the error
  // of a script's command only inside another one.
  reconnectOnError: (error) => error.message.includes("READONLY "),
};

/** The same for a `Cluster`: pass it as its second argument. */
export const recommendedClusterOptions: {
  readonly enableOfflineQueue: boolean;
  readonly slotsRefreshTimeout: number;
  readonly clusterRetryStrategy: (attempt: number) => number;
  readonly redisOptions: {
    readonly commandTimeout: number;
    readonly socketTimeout: number;
    readonly connectTimeout: number;
    readonly keepAlive: number;
  };
} = {
  enableOfflineQueue: false,
  slotsRefreshTimeout: 1_000,
  clusterRetryStrategy: recommendedClientOptions.retryStrategy,
  redisOptions: { commandTimeout: 800, socketTimeout: 1_200, connectTimeout: 500, keepAlive: 5_000 },
};
