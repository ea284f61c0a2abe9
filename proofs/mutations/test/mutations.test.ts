import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Edit } from "../src/edits.ts";
import type { Mutation } from "../src/mutation.ts";
import { MUTATIONS } from "../src/mutations.ts";
import { TreeCopy } from "../src/tree-copy.ts";
import { tryMutation } from "../src/try-mutation.ts";

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

  it.each<[what: string, edit: Edit]>([
    ["that test passes", (statement) => `{} ${statement}`],
    ["the code cannot even be loaded", (statement) => `( ${statement}`],
  ])("is missed when %s", async (_, edit) => {
    expect(await tryMutation(copy, { ...BITES, edit })).toMatchObject({ caught: false });
  });
});
