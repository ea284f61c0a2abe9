import type { PeriodUsage, Tally, UsageCounter } from "@usage/counter-core";

/**
 * What a failed last flush left behind, by period and backend. Of the current period it is exact; of closed ones, whose
 * tallies are cumulative, it is the most that can be missing.
 */
export function unstoredUsage(remaining: readonly Tally[], counter: UsageCounter): readonly PeriodUsage[] {
  const current = counter.period().key;
  const byPlace = new Map<string, PeriodUsage>();
  for (const { period, backend, usage } of remaining) {
    const place = JSON.stringify([period, backend]);
    const before = byPlace.get(place)?.usage;
    byPlace.set(place, { period, backend, usage: period === current ? counter.loadAll(backend) : sum(before, usage) });
  }
  return [...byPlace.values()];
}

function sum(a: PeriodUsage["usage"] = {}, b: PeriodUsage["usage"]): PeriodUsage["usage"] {
  const total: Record<string, number> = { ...a };
  for (const [dimension, amount] of Object.entries(b)) total[dimension] = (total[dimension] ?? 0) + amount;
  return total;
}

/** One line for each, as in `2026-01 "oci": apiRequests 12, egressBytes 4096`. */
export function formatUsage({ period, backend, usage }: PeriodUsage): string {
  const amounts = Object.entries(usage).map(([dimension, amount]) => `${dimension} ${amount}`);
  return `${period} ${JSON.stringify(backend)}: ${amounts.join(", ")}`;
}
