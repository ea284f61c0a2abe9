import { assertDelay } from "../util/assert-delay.ts";
import type { Mark } from "./mark.ts";
import { assertText } from "./text.ts";

/** What is to be delivered of a mark that was claimed with it, and is not known to be delivered. */
export interface Notice extends Omit<Mark, "notice"> {
  readonly body: string;
  /** How often it was taken: 1 the first time. */
  readonly attempts: number;
}

/** How many notices somebody takes, and when those that are not acknowledged are due again. */
export interface NoticesQuery {
  /** So many at most: a whole number from 1 to 1,000. */
  readonly limit: number;
  /** The pause after the first attempt, which doubles with each up to `max`; in milliseconds, from 1 to 2^31-1. */
  readonly retryMs: { readonly first: number; readonly max: number };
}

const MAX_LIMIT = 1_000;

/** @throws RangeError for a channel that is no name, and for what is out of range. */
export function assertNoticesQuery(channel: unknown, { limit, retryMs }: NoticesQuery): void {
  assertText("channel", channel);
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT)) {
    throw new RangeError(`limit must be a whole number from 1 to ${MAX_LIMIT}, got ${String(limit)}`);
  }
  assertDelay("retryMs.first", retryMs.first);
  assertDelay("retryMs.max", retryMs.max, retryMs.first);
}

/** The pause after so many attempts, in milliseconds. */
export function retryPauseMs(attempts: number, { first, max }: NoticesQuery["retryMs"]): number {
  return Math.min(max, first * 2 ** (attempts - 1));
}
