import { messageOf } from "@usage/counter-core/internal";

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

/** The client is not connected to Redis, so nothing was sent. Its `cause` is the client's last error, such as ECONNREFUSED. */
export class NotConnectedError extends Error {
  readonly code = "USAGE_REDIS_NOT_CONNECTED";

  /** @param cause - Why it is not, as far as the client has told. */
  constructor(status: string, cause?: Error) {
    const why = cause === undefined ? "" : `: ${textOf(cause)}`;
    super(
      `Redis is not connected (the client is ${JSON.stringify(status)})${why}`,
      cause === undefined ? undefined : { cause },
    );
    this.name = "NotConnectedError";
  }
}

/** A key of shared counts cannot be used: a backend's, or one of its bucket. */
export class RefusedCountsError extends Error {
  readonly code = "USAGE_REDIS_REFUSED";
  readonly key: string;
  /** Whether the client's user may not use it; otherwise it holds something else. */
  readonly isRight: boolean;

  constructor(key: string, reason: string, isRight = false) {
    const remedy = isRight
      ? "let the user of the client use it (ACL SETUSER)"
      : "delete it, and what is counted is pushed again";
    super(`the key ${key} cannot be used: ${reason}; ${remedy}`);
    this.name = "RefusedCountsError";
    this.key = key;
    this.isRight = isRight;
  }
}

/** Message and code; a name that leads to several addresses fails with an error for each. */
function textOf(cause: Error): string {
  const text = cause instanceof AggregateError ? cause.errors.map(messageOf).join(", ") : cause.message;
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  return code === "" || text.includes(code) ? text : `${text} (${code})`;
}
