import { nearMiss } from "./near-miss.ts";
import { shown } from "./schema/expected.ts";

/** What is wrong with the name of a plan that there is not. */
export function noPlan(plan: string, known: readonly string[]): string {
  const guess = nearMiss(plan, known);
  const advice =
    guess !== undefined ? `did you mean ${guess}?` : `known are ${known.join(", ") || "none: name them in plans"}`;
  return `there is no plan ${shown(plan)}; ${advice}`;
}
