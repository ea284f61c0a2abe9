import { type Grant, UnknownDimensionError, type Usage } from "@usage/counter-core";
import { checkedGrant, isDictionary } from "@usage/counter-core/internal";
import type { TrackedCounter } from "../tracked-counter.ts";

export interface GrantOptions extends Pick<Grant, "id" | "reason" | "by"> {
  /** The key of the period that it is for. @default the current one */
  readonly period?: string;
}

/** What is to be granted, checked as a whole: a copy, since the caller may change it. @throws what is wrong with any part of it. */
export function readGrant<D extends string>(
  counter: Pick<TrackedCounter<D>, "dimensions" | "period">,
  backend: string,
  amounts: Partial<Usage<D>>,
  options: GrantOptions,
): Grant {
  if (!isDictionary(options)) throw new TypeError("grant needs the options { id, reason }");
  const { id, reason, by, period } = options;
  const grant = checkedGrant({
    period: period ?? counter.period().key,
    backend,
    id,
    amounts: amounts as Grant["amounts"],
    reason,
    ...(by !== undefined && { by }),
  });
  // What is not counted would be granted, and raise nothing.
  const { dimensions } = counter;
  const unknown = Object.keys(grant.amounts).find((dimension) => !dimensions.some((known) => known === dimension));
  if (unknown !== undefined) throw new UnknownDimensionError(backend, unknown, dimensions);
  return grant;
}
