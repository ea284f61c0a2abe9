import type { Tally } from "@usage/counter-core";
import { randomFrom, randomSchedule, randomTallies } from "../../../counter-core/src/testing/random-tallies.ts";

const HOUR_MS = 3_600_000;
/** The end of one month and the beginning of the next one. */
export const MONTHS = ["2026-01", "2026-02"] as const;
const BETWEEN = Date.UTC(2026, 1, 1);

interface DatedMerge {
  readonly tallies: readonly Tally[];
  readonly at: number;
}

/** Merges of several writers into two months, around midnights: also of those that are late, or early by their clock. */
export function datedMerges(seed: number): readonly DatedMerge[] {
  const random = randomFrom(seed);
  const merges = MONTHS.flatMap((month) => randomSchedule(random, randomTallies(random, month)));
  return merges
    .map((tallies) => ({ tallies, order: random(), at: BETWEEN + Math.floor((random() - 0.5) * 60 * HOUR_MS) }))
    .sort((a, b) => a.order - b.order);
}
