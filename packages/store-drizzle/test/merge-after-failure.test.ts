import { expect, it } from "vitest";
import { mergeTallies } from "../src/merge-tallies.ts";
import type { UsageTable } from "../src/usage-table.ts";
import { manyTallies } from "./support/tallies.ts";

it("a merge sends nothing more once a part of it has failed, which others on new connections would pay for", async () => {
  let sent = 0;
  const upsert = async (): Promise<readonly string[]> => {
    sent += 1;
    if (sent === 2) throw new Error("the table is gone");
    return [];
  };
  const table = { rowsPerChunk: 1, pipelined: true, refusal: /^$/, upsert } as Partial<UsageTable> as UsageTable;
  await expect(mergeTallies(table, manyTallies(10), {})).rejects.toThrow("the table is gone");
  expect(sent).toBe(2);
});
