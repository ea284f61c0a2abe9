import { createHash } from "node:crypto";
import type { Mark } from "@usage/counter-core";
import type { ThresholdEvent } from "./threshold-event.ts";

/** A threshold that is reached, and by which usage. */
export type Crossing<D extends string> = Omit<ThresholdEvent<D>, "id">;

/**
 * The mark of a crossing, of which the store tells once that it is new, and its notice. Each channel has its own, so that one whose
 * receiver is away holds up no other.
 */
export function markOfCrossing<D extends string>(crossing: Crossing<D>, channel: string): Mark {
  const { backend, dimension, window, threshold, limit, usage, period } = crossing;
  const id = idOf(crossing);
  const body = JSON.stringify({ id, backend, dimension, window, threshold, limit, usage, period });
  // fault: a threshold event is claimed by each who finds it
  const mark = `${threshold} of ${limit} to ${channel}`;
  return { period, backend, dimension, mark, notice: { channel, body } };
}

/** Of what makes it this crossing, and not of when, where or by what it was found: a store that lost its marks gives it again. */
function idOf({ backend, period, dimension, threshold, limit }: Crossing<string>): string {
  // fault: a threshold event has an id of when it was found
  const identity = JSON.stringify([backend, period, dimension, threshold, limit]);
  return createHash("sha256").update(identity).digest("hex").slice(0, 32);
}
