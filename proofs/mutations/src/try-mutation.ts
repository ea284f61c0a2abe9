import { keyOf, type Mutation } from "./mutation.ts";
import { runTests } from "./run-tests.ts";
import type { TreeCopy } from "./tree-copy.ts";

export interface Verdict {
  readonly caught: boolean;
  /** What each of the tests that should catch it said. */
  readonly said: readonly string[];
}

/** Runs the tests that must catch a mutation on code that has it. */
export async function tryMutation(copy: TreeCopy, mutation: Mutation): Promise<Verdict> {
  const { caughtBy } = mutation;
  const outcomes = await copy.broken(mutation, () => runTests(copy.folder, caughtBy));
  return {
    caught: caughtBy.every((test) => outcomes.get(keyOf(test))?.state === "failed"),
    said: caughtBy.map((test) => {
      const outcome = outcomes.get(keyOf(test));
      return `${outcome?.state} ${test.title}\n      ${outcome?.message}`;
    }),
  };
}
