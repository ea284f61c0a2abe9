import { type Tally, type Usage, utcMonths } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { HISTORY_MONTHS, type Tier } from "./scenario.ts";

const DAY_MS = 86_400_000;
/** How far the fullest limit was used in the first of these months, and how much more in each one after. */
const FIRST_PART = 0.35;
const GROWTH = 0.05;

/** Writes the months before this one into a SQLite file, the last of them day by day, as an import from another system would. */
export async function writeHistory(file: string, tiers: readonly Tier[], nowMs: number): Promise<void> {
  const store = await openSqliteStore(file, { timeline: true });
  try {
    for (const { at, tallies } of pastDays(tiers, nowMs)) await store.merge(tallies, { at });
  } finally {
    await store.close();
  }
}

/** What the months had counted in the end, and the last one by each day: a little uneven, growing, within the limits. */
function* pastDays(tiers: readonly Tier[], nowMs: number): Generator<{ at: number; tallies: readonly Tally[] }> {
  const now = new Date(nowMs);
  for (let age = HISTORY_MONTHS; age > 0; age--) {
    const { key: period, start, end } = utcMonths.at(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - age));
    const days = age === 1 ? (end - start) / DAY_MS : 1;
    for (let day = 1; day <= days; day++) {
      const tallies = tiers.map(({ name, limits }, tier): Tally => {
        const part = (FIRST_PART + GROWTH * (HISTORY_MONTHS - age)) * (1 + 0.12 * Math.sin(2.1 * age + tier));
        return { writer: "history", period, backend: name, usage: usageOf(limits, (part * day) / days, tier) };
      });
      yield { at: start + day * DAY_MS - DAY_MS / 2, tallies };
    }
  }
}

/** Each tier is used up by another dimension. */
function usageOf({ apiRequests, egressBytes, ingressBytes }: Usage, part: number, fullest: number): Usage {
  const of = (limit: number, dimension: number): number => {
    return Math.round(limit * part * (dimension === fullest ? 1 : 0.6));
  };
  return { apiRequests: of(apiRequests, 0), egressBytes: of(egressBytes, 1), ingressBytes: of(ingressBytes, 2) };
}
