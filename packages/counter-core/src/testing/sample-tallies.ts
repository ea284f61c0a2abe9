import type { StoredUsage, Tally, Usage, UsageStore } from "../index.ts";

export const PERIOD = "2026-01";

export function tally(writer: string, backend: string, amounts: Readonly<Record<string, number>>): Tally {
  return { writer, period: PERIOD, backend, usage: amounts };
}

export function many(backends: number, writer = "w"): readonly Tally[] {
  return Array.from({ length: backends }, (_, index) =>
    tally(writer, `backend-${index}`, { apiRequests: index + 1, egressBytes: 1 }),
  );
}

export function usage(apiRequests: number, egressBytes: number, ingressBytes: number): Usage {
  return { apiRequests, egressBytes, ingressBytes };
}

/** Only for backends whose names a plain object can hold. */
export async function all(store: UsageStore, period: string = PERIOD): Promise<Readonly<Record<string, Usage>>> {
  const { usage } = await store.totals(period, "");
  return Object.fromEntries(Array.from(usage, ([backend, stored]) => [backend, stored.all]));
}

/** Of all backends. */
export async function usageOf(store: UsageStore, writer = "w"): Promise<ReadonlyMap<string, StoredUsage>> {
  return (await store.totals(PERIOD, writer)).usage;
}
