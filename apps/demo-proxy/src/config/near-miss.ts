import { shown } from "./schema/expected.ts";

/** The known word that `word` was most likely meant to be, if one is near enough. */
export function nearMiss(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** What is wrong with the name of a plan that there is not. */
export function noPlan(plan: string, known: readonly string[]): string {
  const guess = nearMiss(plan, known);
  const advice =
    guess !== undefined ? `did you mean ${guess}?` : `known are ${known.join(", ") || "none: name them in plans"}`;
  return `there is no plan ${shown(plan)}; ${advice}`;
}

/** Insertions, deletions and replacements that make one word of the other (Wagner and Fischer, 1974). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (letter === to[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
