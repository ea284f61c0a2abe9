import { STORAGE_DIMENSIONS, type Tally, type Usage } from "../index.ts";

/** Random numbers from 0 to below 1 that are the same for a seed: a linear congruential generator (Numerical Recipes). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export function randomTallies(random: () => number, period: string): readonly Tally[] {
  const below = (limit: number) => Math.floor(random() * limit);
  return Array.from({ length: 30 }, () => ({
    writer: `w${below(3)}`,
    period,
    backend: `b${below(3)}`,
    usage: Object.fromEntries(
      STORAGE_DIMENSIONS.filter(() => random() < 0.7).map((dimension) => [dimension, below(100)]),
    ),
  }));
}

/** Each tally at least once, some more often, in any order, in merges of up to seven. */
export function randomSchedule(random: () => number, tallies: readonly Tally[]): readonly (readonly Tally[])[] {
  const order = [...tallies, ...tallies.filter(() => random() < 0.5)]
    .map((one) => ({ one, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
  const merges: Tally[][] = [];
  while (order.length > 0) merges.push(order.splice(0, 1 + Math.floor(random() * 7)));
  return merges;
}

/** What a store must answer once it has merged all of them: the largest amount of each writer, summed over writers. */
export function maximaSummed(tallies: readonly Tally[]): Readonly<Record<string, Usage>> {
  const sums: Record<string, Usage> = {};
  const stored = tallies.filter((one) => Object.values(one.usage).some((amount) => amount > 0));
  for (const [backend, rows] of Map.groupBy(stored, (row) => row.backend)) {
    const byWriter = [...Map.groupBy(rows, (row) => row.writer).values()];
    const sum = (dimension: string) =>
      byWriter.reduce((total, own) => total + Math.max(...own.map((row) => row.usage[dimension] ?? 0)), 0);
    sums[backend] = {
      apiRequests: sum("apiRequests"),
      egressBytes: sum("egressBytes"),
      ingressBytes: sum("ingressBytes"),
    };
  }
  return sums;
}
