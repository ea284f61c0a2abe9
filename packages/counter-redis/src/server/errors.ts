/** Redis did not answer in time; what was sent may have arrived, which does no harm. */
export class PushTimeoutError extends Error {
  readonly code = "USAGE_REDIS_TIMEOUT";
  /** In milliseconds. */
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`no answer from Redis within ${timeoutMs} ms`);
    this.name = "PushTimeoutError";
    this.timeoutMs = timeoutMs;
  }
}

/** A counter cannot begin on this Redis. */
export class RedisConnectError extends Error {
  readonly code = "USAGE_REDIS_CONNECT";

  constructor(problem: string, options?: ErrorOptions) {
    super(`RedisCounterBackend cannot start: ${problem}`, options);
    this.name = "RedisConnectError";
  }
}

/** The client is not connected to Redis, so nothing was sent. */
export class NotConnectedError extends Error {
  readonly code = "USAGE_REDIS_NOT_CONNECTED";

  constructor(status: string) {
    super(`Redis is not connected (the client is ${JSON.stringify(status)})`);
    this.name = "NotConnectedError";
  }
}

/** One backend's shared counts cannot be used. */
export class RefusedCountsError extends Error {
  readonly code = "USAGE_REDIS_REFUSED";
  readonly key: string;

  constructor(key: string, reason: string) {
    super(`the key ${key} cannot be used: ${reason}; delete it, and what is counted is pushed again`);
    this.name = "RefusedCountsError";
    this.key = key;
  }
}
