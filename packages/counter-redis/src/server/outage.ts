import { NotConnectedError, PushTimeoutError, RefusedCountsError } from "./errors.ts";

/** What a server says that cannot do anything now, and will by itself. */
const PASSING = new Set(["LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY", "READONLY"]);

/**
 * Whether an error says that Redis is away. One that Redis answers (a right that is missing, a key of another type, a memory
 * that is full) is none, and neither is a fault of the program.
 */
export function isOutage(error: unknown): boolean {
  if (error instanceof NotConnectedError || error instanceof PushTimeoutError) return true;
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return false;
  if (error instanceof RefusedCountsError) return false;
  const [code = ""] = error.message.split(" ", 1);
  // fault: takes a refusal for an outage
  return PASSING.has(code) || (error.name !== "ReplyError" && !/^[A-Z]{3,}$/.test(code));
}
