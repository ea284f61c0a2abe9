import type { StorageDimension } from "@usage/counter-core";
import type { Decision } from "@usage/tracker";

/** Whether waiting a little may help. */
export function isPassing(decision: Decision<StorageDimension> | undefined): decision is Decision<StorageDimension> {
  return decision?.reason === "held" || decision?.reason === "unready";
}

/**
 * Where waiting helps, that is told, of the first one in order; where nothing may be used there is never room, and another one tells
 * when there is some again.
 */
export function betterRefusal(
  before: Decision<StorageDimension> | undefined,
  next: Decision<StorageDimension>,
): Decision<StorageDimension> {
  if (before === undefined || (isPassing(next) && !isPassing(before))) return next;
  if (before.reason !== "limit" || next.reason !== "limit") return before.reason === "limit" ? next : before;
  const isClosed = next.exceeded.some((dimension) => next.limits[dimension] === 0);
  return isClosed ? before : next;
}
