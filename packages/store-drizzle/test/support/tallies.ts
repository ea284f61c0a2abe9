import type { Tally, UsageStore } from "@usage/counter-core";

export const PERIOD = "2026-01";

export function tally(writer: string, backend: string, usage: Readonly<Record<string, number>>): Tally {
  return { writer, period: PERIOD, backend, usage };
}

/** One tally of three dimensions for each of `backends` backends. */
export function manyTallies(backends: number, writer = "w", amount = 1): readonly Tally[] {
  return Array.from({ length: backends }, (_, index) =>
    tally(writer, `backend-${index}`, { apiRequests: amount, egressBytes: amount, ingressBytes: amount }),
  );
}

/** The sum of all stored requests of the period. */
export async function storedRequests(store: UsageStore): Promise<number> {
  return [...(await store.totals(PERIOD, "")).usage.values()].reduce((sum, { all }) => sum + all.apiRequests, 0);
}

/** How often the event loop turned until `work` was done. */
export async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let done = false;
  const settled = work.finally(() => {
    done = true;
  });
  const count = () => {
    turns += 1;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  await settled;
  return turns;
}
