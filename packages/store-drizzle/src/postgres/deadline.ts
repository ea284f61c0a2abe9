import { setTimeout as sleep } from "node:timers/promises";
import { driverError, StoreError, StoreTimeoutError } from "../errors.ts";
import { adviceFor } from "./advice.ts";

/** How long a store on Postgres waits. */
export interface TimeoutOptions {
  /**
   * The longest that one statement may take, the wait for a free connection included, in milliseconds.
   * @default 10_000
   */
  readonly timeoutMs?: number;
}

/**
 * Runs one statement, and says what failed and what to do.
 *
 * It begins in a timer's turn. Begun where the end of a connection is noticed, which is where a caller who tries again at
 * once would begin it, postgres.js 3.4 can be left with a write that it has neither sent nor forgotten, and never uses
 * that connection again.
 */
export type Deadline = <T>(operation: string, statement: () => PromiseLike<T>) => Promise<T>;

/** The same, on a database that may be another one each time. */
export type Run<DB> = <T>(operation: string, statement: (db: DB) => PromiseLike<T>) => Promise<T>;

export const DEFAULT_TIMEOUT_MS = 10_000;

/** Codes with which the database refuses rows for ever. P0001 is a trigger's `raise exception`, unless it names another. */
export const REFUSAL = /^(22|23|P0001)/;

/** @throws RangeError when `timeoutMs` is not a whole number from 1 to 2^31-1. */
export function withDeadline({ timeoutMs = DEFAULT_TIMEOUT_MS }: TimeoutOptions): Deadline {
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 2 ** 31 - 1) {
    throw new RangeError(`timeoutMs must be a whole number of milliseconds from 1 to 2^31-1, got ${String(timeoutMs)}`);
  }
  return async (operation, statement) => {
    await sleep(0);
    const late = Promise.withResolvers<never>();
    // The server's statement_timeout says nothing when the server itself hangs or the network is gone.
    const timer = setTimeout(() => late.reject(new StoreTimeoutError(operation, timeoutMs)), timeoutMs);
    try {
      const result = await Promise.race([statement(), late.promise]);
      if (isTorn(result)) throw new Error("the rows came torn from a connection that had been cut before");
      return result;
    } catch (thrown) {
      if (thrown instanceof StoreTimeoutError) throw thrown;
      const { error, code } = driverError(thrown);
      throw new StoreError(operation, code, adviceFor(code, error), error);
    } finally {
      clearTimeout(timer);
    }
  };
}

/**
 * postgres.js 3.4 goes on counting rows from where a connection was cut: the first result after that begins with as many
 * holes, and whoever looks at its first row takes it for empty.
 */
function isTorn(result: unknown): boolean {
  return Array.isArray(result) && result.length > 0 && !(0 in result);
}

export function runOn<DB>(db: DB, deadline: Deadline): Run<DB> {
  return (operation, statement) => deadline(operation, () => statement(db));
}

export function isRefusal(error: unknown): boolean {
  return error instanceof StoreError && REFUSAL.test(error.driverCode ?? "");
}
