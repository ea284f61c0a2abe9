import { type Clock, systemClock } from "@usage/counter-core";
import { driverError, StoreBusyError, StoreError } from "../errors.ts";

/** Between two attempts, so that two processes that wait for the same lock do not stay in step. */
const MIN_PAUSE_MS = 5;
const MAX_PAUSE_MS = 20;

/** Time, randomness and patience of a store on SQLite. */
export interface BusyOptions {
  /**
   * How long to try while other connections keep the database locked, in milliseconds.
   * @default 10_000
   */
  readonly busyDeadlineMs?: number;
  /** Where the pauses between two attempts come from; unlike `systemClock`, the default keeps the process alive for them. */
  readonly clock?: Clock;
  /**
   * Jitter of these pauses, from 0 to below 1.
   * @default Math.random
   */
  readonly random?: () => number;
}

/** Runs a statement, in a few milliseconds or again later while the database is locked, until the deadline. */
export type Attempt = <T>(operation: string, statement: () => T, signal?: AbortSignal) => Promise<T>;

/** @throws RangeError when `busyDeadlineMs` is not a non-negative number. */
export function retryWhileBusy(options: BusyOptions): Attempt {
  const { busyDeadlineMs = 10_000, clock = waitingClock, random = Math.random } = options;
  if (!(busyDeadlineMs >= 0)) {
    throw new RangeError(`busyDeadlineMs must be a number of milliseconds from 0, got ${String(busyDeadlineMs)}`);
  }
  return async (operation, statement, signal) => {
    const deadline = clock.now() + busyDeadlineMs;
    for (;;) {
      signal?.throwIfAborted();
      try {
        return statement();
      } catch (thrown) {
        const { error, code } = driverError(thrown);
        // fault: SQLite takes a full disk for success
        // fault: SQLite gives up at once on a locked database
        if (!isBusy(code)) throw new StoreError(operation, code, advice(code, error), error);
        if (clock.now() >= deadline) throw new StoreBusyError(operation, busyDeadlineMs, error);
      }
      const pauseMs = MIN_PAUSE_MS + random() * (MAX_PAUSE_MS - MIN_PAUSE_MS);
      await new Promise<void>((resolve) => clock.after(pauseMs, resolve));
    }
  };
}

/** A promise that waits for an unref'd timer would let the process end under a merge. */
const waitingClock: Clock = {
  ...systemClock,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** `SQLITE_BUSY`, its extended codes, and `SQLITE_LOCKED`, its name within a shared cache. */
function isBusy(code: string | undefined): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(code ?? "");
}

function advice(code: string | undefined, error: unknown): string {
  if (code === "SQLITE_FULL") return "make room on the disk, then call it again";
  if (error instanceof Error && error.message.startsWith("no such table")) return "create the table with migrate(db)";
  if (/^SQLITE_(READONLY|CANTOPEN)/.test(code ?? "")) return "see that this process may write the file and its folder";
  return "call it again once the cause is gone: nothing is counted twice";
}
