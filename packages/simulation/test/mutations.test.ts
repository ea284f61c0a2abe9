import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { MUTATIONS } from "../src/mutations.ts";
import { tryMutation } from "../src/try-mutation.ts";

/** Ten times as many as the best hidden one needs. */
const SEEDS = 4_000;

describe("the simulation", () => {
  it("catches every deliberate fault in the code", { timeout: 280_000 }, async () => {
    const left = [...MUTATIONS];
    const missed: string[] = [];
    const work = async (): Promise<void> => {
      for (let mutation = left.pop(); mutation !== undefined; mutation = left.pop()) {
        const { caught, output } = await tryMutation(mutation, SEEDS);
        if (!caught) missed.push(`${mutation.name}: ${output}`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, work));
    expect(missed).toEqual([]);
  });
});
