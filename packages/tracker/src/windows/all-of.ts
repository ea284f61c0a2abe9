import { messageOf } from "@usage/counter-core/internal";

/** Waits for all of them, also where one fails. @throws what the one that fails rejects with; AggregateError of several. */
export async function allOf<T>(promises: readonly Promise<T>[]): Promise<readonly T[]> {
  const ends = await Promise.allSettled(promises);
  const errors = ends.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, errors.map(messageOf).join("; "));
  return ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : []));
}
