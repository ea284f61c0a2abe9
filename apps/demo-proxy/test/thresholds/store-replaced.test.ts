import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage, type ThresholdEvent } from "@usage/tracker";
import { expect, it, onTestFinished } from "vitest";
import { tempFolder } from "../support/temp-folder.ts";

it("a SQLite file that is deleted, with what it had to tell, is told of again under the same ids", async () => {
  const folder = tempFolder();
  const store = await openSqliteStore(join(folder, "usage.db"));
  onTestFinished(() => store.close());
  const told: ThresholdEvent[] = [];
  let isUp = true;
  const usage = await openUsage({
    store,
    counter: new LocalCounterBackend([]),
    limits: () => ({ apiRequests: 100 }),
    thresholds: [0.5, 0.8],
    onThreshold(event) {
      if (!isUp) throw new Error("away");
      told.push(event);
    },
  });
  onTestFinished(() => usage.close());
  const failures: unknown[] = [];
  usage.onThresholdError(({ event }) => void failures.push(event?.threshold));
  const use = async (apiRequests: number): Promise<void> => {
    usage.record("acme", { apiRequests });
    await usage.flush();
  };
  await usage.ensure("acme");
  await use(50);
  await expect.poll(() => told.length).toBe(1);
  isUp = false;
  await use(30);
  await expect.poll(() => failures).toEqual([0.8]);
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  isUp = true;
  await use(1);
  // The one that was told, in case it was not, and the one that nobody has heard of.
  await expect
    .poll(() => told.map(({ threshold, usage }) => [threshold, usage]))
    .toEqual([
      [0.5, 50],
      [0.5, 81],
      [0.8, 81],
    ]);
  expect(new Set(told.map(({ id }) => id)).size).toBe(2);
  expect(told[1]?.id).toBe(told[0]?.id);
});
