/** A store's operation failed: what the database said is the `cause`. Nothing is wrong with doing it again. */
export class StoreError extends Error {
  readonly code = "USAGE_STORE";
  /** What was asked of the store, `merge` for example. */
  readonly operation: string;
  /** The driver's code: an SQLSTATE, a `SQLITE_*` name, or a socket's error code. */
  readonly driverCode: string | undefined;

  constructor(operation: string, driverCode: string | undefined, advice: string, cause: unknown) {
    super(`${operation} failed: ${messageOf(cause)}${driverCode === undefined ? "" : ` (${driverCode})`}; ${advice}`, {
      cause,
    });
    this.name = "StoreError";
    this.operation = operation;
    this.driverCode = driverCode;
  }
}

/** The database was locked by others until the deadline. */
export class StoreBusyError extends Error {
  readonly code = "USAGE_STORE_BUSY";
  readonly operation: string;
  readonly deadlineMs: number;

  constructor(operation: string, deadlineMs: number, cause: unknown) {
    super(
      `${operation} gave up: another connection kept the database for ${deadlineMs} ms; find who writes that long, or raise busyDeadlineMs`,
      { cause },
    );
    this.name = "StoreBusyError";
    this.operation = operation;
    this.deadlineMs = deadlineMs;
  }
}

/** A statement did not come back in time. It may still be executed, which does no harm. */
export class StoreTimeoutError extends Error {
  readonly code = "USAGE_STORE_TIMEOUT";
  readonly operation: string;
  readonly timeoutMs: number;

  constructor(operation: string, timeoutMs: number) {
    super(
      `${operation} gave up: no answer from the database within ${timeoutMs} ms; see whether it is reachable, or raise timeoutMs`,
    );
    this.name = "StoreTimeoutError";
    this.operation = operation;
    this.timeoutMs = timeoutMs;
  }
}

/** The database could not be opened. */
export class StoreOpenError extends Error {
  readonly code = "USAGE_STORE_OPEN";
  /** The driver's code: an SQLSTATE, a `SQLITE_*` name, or a socket's or TLS's error code. */
  readonly driverCode: string | undefined;

  constructor(message: string, driverCode?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreOpenError";
    this.driverCode = driverCode;
  }
}

/** Why a tally cannot be stored: one of its fields is not what it must be. */
export class TallyError extends RangeError {
  readonly code = "USAGE_TALLY";
  readonly field: "writer" | "period" | "usage";

  constructor(field: "writer" | "period" | "usage", problem: string) {
    super(`a tally's ${field} ${problem}`);
    this.name = "TallyError";
    this.field = field;
  }
}

/** Why a tally cannot be stored: the database refuses it, by a constraint or a trigger, however often it is sent. */
export class TallyRefusedError extends Error {
  readonly code = "USAGE_TALLY_REFUSED";
  readonly driverCode: string | undefined;

  constructor(driverCode: string | undefined, cause: unknown) {
    super(`the database refuses this tally: ${messageOf(cause)}`, { cause });
    this.name = "TallyRefusedError";
    this.driverCode = driverCode;
  }
}

/**
 * What the driver itself threw, below what drizzle wrapped around it: drizzle's message holds the parameters, which belong
 * into no log.
 */
export function driverError(error: unknown): { readonly error: unknown; readonly code: string | undefined } {
  let innermost = error;
  for (let depth = 0; depth < 5 && innermost instanceof Error; depth++) {
    if ("code" in innermost && typeof innermost.code === "string") return { error: innermost, code: innermost.code };
    if (innermost.cause === undefined) break;
    innermost = innermost.cause;
  }
  return { error: innermost, code: undefined };
}

function messageOf(cause: unknown): string {
  if (!(cause instanceof Error)) return "no reason was given";
  // A refused connection to a name with several addresses has an empty message of its own.
  if (cause.message === "" && cause instanceof AggregateError) return messageOf(cause.errors[0]);
  return cause.message === "" ? "no reason was given" : cause.message;
}
