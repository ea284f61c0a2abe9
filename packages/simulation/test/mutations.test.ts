import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Mutation } from "../src/mutations/mutation.ts";
import { MUTATIONS } from "../src/mutations/mutations.ts";
import { TreeCopy } from "../src/mutations/tree-copy.ts";
import { tryMutation } from "../src/mutations/try-mutation.ts";

let copy: TreeCopy;
beforeAll(async () => {
  copy = await TreeCopy.make();
});
afterAll(() => copy[Symbol.asyncDispose]());

const BITES = MUTATIONS.find(({ name }) => name === "does not flush when it is stopped") as Mutation;

/** All of them are tried by `pnpm mutate`. */
describe("a mutation", () => {
  it("is caught when the test fails that is named for it", async () => {
    expect(await tryMutation(copy, BITES)).toMatchObject({ caught: true });
  });

  it.each<[what: string, change: Partial<Mutation>]>([
    ["that test passes", { replace: `${BITES.find} ` }],
    ["the code cannot even be loaded", { replace: `${BITES.find} (` }],
  ])("is missed when %s", async (_, change) => {
    expect(await tryMutation(copy, { ...BITES, ...change })).toMatchObject({ caught: false });
  });
});
