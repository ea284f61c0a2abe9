import { type Tally, utcMonths } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { HISTORY_MONTHS, type Tier } from "./scenario.ts";

/** How far the fullest limit was used in the first of these months, and how much more in each one after. */
const FIRST_PART = 0.35;
const GROWTH = 0.05;

/** Writes the months before this one into a SQLite file, as an import from another system would. */
export async function writeHistory(file: string, tiers: readonly Tier[], nowMs: number): Promise<void> {
  const store = await openSqliteStore(file);
  try {
    await store.merge(pastMonths(tiers, nowMs));
  } finally {
    await store.close();
  }
}

/** Usage that grows from month to month and is a little uneven, within its limits. */
function pastMonths(tiers: readonly Tier[], nowMs: number): readonly Tally[] {
  const now = new Date(nowMs);
  return Array.from({ length: HISTORY_MONTHS }, (_, index) => {
    const age = HISTORY_MONTHS - index;
    const period = utcMonths.at(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - age)).key;
    return tiers.map(({ name, limits }, tier): Tally => {
      const part = (FIRST_PART + GROWTH * index) * (1 + 0.12 * Math.sin(2.1 * age + tier));
      const of = (limit: number, dimension: number): number =>
        Math.round(limit * part * (dimension === tier ? 1 : 0.6));
      const { apiRequests, egressBytes, ingressBytes } = limits;
      const usage = {
        apiRequests: of(apiRequests, 0),
        egressBytes: of(egressBytes, 1),
        ingressBytes: of(ingressBytes, 2),
      };
      return { writer: "history", period, backend: name, usage };
    });
  }).flat();
}
