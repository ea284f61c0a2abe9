import { RefusedCountsError } from "./errors.ts";
import { isAboutKeys, isMissingRight } from "./rights.ts";

/** The error of a key that cannot be used; undefined where the error is about the server. */
export function refusalOf(key: string, error: unknown): RefusedCountsError | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.message.includes("WRONGTYPE")) return new RefusedCountsError(key, error.message);
  if (!isMissingRight(error) || !isAboutKeys(error)) return undefined;
  // fault: gives up on all backends for the key of one
  return new RefusedCountsError(key, error.message, true);
}
