import type { Period } from "@usage/counter-core";

/** How long counts stay after their period: whoever was away for longer has stored them by itself. */
const RETENTION_MS = 40 * 86_400_000;
/** A period that is shorter than every day is over before anybody asks what was counted in it. */
const SHORTEST_DAY_MS = 20 * 3_600_000;
/** So many more lengths of such a period its counts stay. */
const LENGTHS = 3;

/** Until when the counts of a period are shared, in milliseconds since the Unix epoch. */
export function sharedUntilMs({ start, end }: Period): number {
  const length = end - start;
  return end + (length < SHORTEST_DAY_MS ? LENGTHS * length : RETENTION_MS);
}
