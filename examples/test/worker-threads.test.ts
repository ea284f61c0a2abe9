import { currentPeriod } from "@usage/counter-core";
import { expect, it } from "vitest";
import { RunningExample } from "./support/run-example.ts";
import { storedIn } from "./support/stored.ts";
import { tempFolder } from "./support/temp-folder.ts";

it("worker-threads.ts stores exactly what all threads recorded, and the next run goes on from there", async () => {
  const folder = tempFolder();
  const first = await new RunningExample("worker-threads.ts", folder).ended();
  expect(first).toBe("101000 requests, 1010000 bytes; room for another: true\n");
  const second = await new RunningExample("worker-threads.ts", folder).ended();
  expect(second).toBe("202000 requests, 2020000 bytes; room for another: false\n");
  expect(await storedIn(folder)).toEqual([
    { period: currentPeriod(), backend: "oci", usage: { apiRequests: 202_000, egressBytes: 2_020_000 } },
  ]);
});
