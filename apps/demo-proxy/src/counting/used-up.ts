import type { StorageDimension, Usage } from "@usage/counter-core";
import type { Decision } from "@usage/tracker";

/** Of the exceeded dimensions, those where what was used alone leaves no room, whatever running requests hold. */
export function usedUp(
  { exceeded, usage, limits }: Decision<StorageDimension>,
  proposed: Usage,
): readonly StorageDimension[] {
  return exceeded.filter((dimension) => usage[dimension] + proposed[dimension] > (limits[dimension] ?? 0));
}
