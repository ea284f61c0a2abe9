import type { Limits, Usage } from "@usage/counter-core";
import { raisedBy } from "@usage/counter-core/internal";
import type { TrackedCounter } from "../tracked-counter.ts";

/** The limits of every period of a backend that is held, without what was granted for the current one. */
export function limitsWithoutCredit<D extends string>(counter: TrackedCounter<D>, backend: string): Limits<D> {
  const credit = counter.creditAll(backend);
  return changed(counter.limitsOf(backend), (limit, dimension) => Math.max(0, limit - credit[dimension]));
}

/** Limits with what was granted on top. */
export function limitsWithCredit<D extends string>(limits: Limits<D>, credit: Partial<Usage<D>> = {}): Limits<D> {
  return changed(limits, (limit, dimension) => raisedBy(credit[dimension] ?? 0, limit));
}

function changed<D extends string>(limits: Limits<D>, change: (limit: number, dimension: D) => number): Limits<D> {
  const entries = Object.entries(limits) as [D, number][];
  return Object.fromEntries(entries.map(([dimension, limit]) => [dimension, change(limit, dimension)])) as Limits<D>;
}
