import { join } from "node:path";
import { currentPeriod } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { expect, it } from "vitest";
import { RunningExample } from "./support/run-example.ts";
import { storedIn } from "./support/stored.ts";
import { tempFolder } from "./support/temp-folder.ts";

it("import-usage.ts goes on from what was used before, up to the limits, and imports nothing twice", async () => {
  const folder = tempFolder();
  expect(await new RunningExample("import-usage.ts", folder).ended()).toBe(
    "oci took 10 more requests, of 50000 in all; no more apiRequests\n" +
      "b2 took 0 more requests, of 120 in all; no more egressBytes\n",
  );
  expect(await new RunningExample("import-usage.ts", folder).ended()).toContain("oci took 0 more requests, of 50000");

  const period = currentPeriod();
  expect(await storedIn(folder)).toEqual([
    { period, backend: "b2", usage: { apiRequests: 120, egressBytes: 2 ** 30 } },
    { period, backend: "oci", usage: { apiRequests: 50_000, egressBytes: 7_516_192_778 } },
  ]);
  await using store = await openSqliteStore(join(folder, "usage.db"));
  const rows = await store.tallies(period, ["oci", "b2"]);
  expect(rows.filter(({ writer }) => writer === "import")).toHaveLength(2);
});
