import type { PeriodUsage, Tally, UsageCounter } from "@usage/counter-core";

type Amounts = PeriodUsage["usage"];

/**
 * What a failed last flush left behind, by period and backend: the most that can be missing. Tallies are cumulative, so of a
 * closed period that is all of them; of the current one, what the counter does not know to be stored, which is exact unless
 * it is shared and others have not stored theirs either.
 */
export function unstoredUsage(tallies: readonly Tally[], ...counters: readonly UsageCounter[]): readonly PeriodUsage[] {
  const byPlace = new Map<string, PeriodUsage>();
  for (const { period, backend, usage } of tallies) {
    const place = JSON.stringify([period, backend]);
    byPlace.set(place, { period, backend, usage: sum(byPlace.get(place)?.usage, usage) });
  }
  return Array.from(byPlace.values(), ({ period, backend, usage }) => {
    const counter = counters.find((counter) => counter.period().key === period);
    return { period, backend, usage: counter === undefined ? usage : least(counter.loadAll(backend), usage) };
  });
}

function sum(a: Amounts = {}, b: Amounts): Amounts {
  const total: Record<string, number> = { ...a };
  for (const [dimension, amount] of Object.entries(b)) total[dimension] = (total[dimension] ?? 0) + amount;
  return total;
}

function least(a: Amounts, b: Amounts): Amounts {
  return Object.fromEntries(
    Object.entries(a).map(([dimension, amount]) => [dimension, Math.min(amount, b[dimension] ?? 0)]),
  );
}

/** One line for each, as in `2026-01 "oci": apiRequests 12, egressBytes 4096`. */
export function formatUsage({ period, backend, usage }: PeriodUsage): string {
  const amounts = Object.entries(usage).map(([dimension, amount]) => `${dimension} ${amount}`);
  return `${period} ${JSON.stringify(backend)}: ${amounts.join(", ")}`;
}
