import { once } from "node:events";
import { join } from "node:path";
import type { UsageStore } from "@usage/counter-core";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { maximaSummed } from "../../counter-core/src/testing/random-tallies.ts";
import { datedMerges, MONTHS } from "./support/dated-merges.ts";
import { freshFolder } from "./support/folder.ts";
import { runNode } from "./support/run-node.ts";
import { freshSchema } from "./support/schema.ts";

async function sqlitePlace() {
  const folder = await freshFolder();
  onTestFinished(() => folder.dispose());
  const place = join(folder.path, "usage.db");
  return { place, open: () => openSqliteStore(place, { timeline: true }) };
}

async function postgresPlace() {
  const schema = await freshSchema();
  onTestFinished(() => schema.dispose());
  return { place: schema.url, open: () => openPostgresStore(schema.url, { timeline: true }) };
}

type Sums = Record<string, Record<string, number>>;

/** That the hours and the days of both months add up to what is stored of each backend and dimension. */
async function assertAddsUp(store: UsageStore): Promise<Sums> {
  const all: Sums = {};
  for (const month of MONTHS) {
    const totals: Sums = {};
    for (const [backend, usage] of (await store.totals(month, "")).usage) totals[backend] = { ...usage.all };
    for (const step of ["hour", "day"] as const) {
      const sums: Sums = {};
      for (const { backend, usage } of (await store.timeline?.(month, { step })) ?? []) {
        sums[backend] ??= { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
        const sum = sums[backend] as Record<string, number>;
        for (const [dimension, amount] of Object.entries(usage)) sum[dimension] = (sum[dimension] ?? 0) + amount;
      }
      expect(sums, `${month} by ${step}`).toEqual(totals);
    }
    for (const [backend, usage] of Object.entries(totals)) all[`${month} ${backend}`] = usage;
  }
  return all;
}

/** Statements after which they die: next to each other, so that one of them does in the middle of a merge. */
const DEATHS = [13, 14, 15, 16];

describe.each([
  ["SQLite", sqlitePlace],
  ["Postgres", postgresPlace],
])("hours and days, on %s", { timeout: 60_000 }, (_, placeOf) => {
  it("add up to their month when processes are killed in the middle of merges, and when others merge the same again", async () => {
    const { place, open } = await placeOf();
    await using store = await open();
    const seeds = DEATHS.map((_, index) => index + 1);
    const deaths = DEATHS.map(async (last, index) => {
      const { process, output } = runNode("die-while-merging.ts", place, `${index + 1}`, `${last}`);
      const problem = output.catch((error: unknown) => String(error));
      const [, signal] = await once(process, "exit");
      expect(signal, `${await problem}`).toBe("SIGKILL");
    });
    await Promise.all(deaths);
    const before = await assertAddsUp(store);
    expect(Object.keys(before).length).toBeGreaterThan(0);
    const merges = seeds.flatMap(datedMerges);
    await Promise.all(merges.toReversed().map(({ tallies, at }) => store.merge(tallies, { at })));
    const stored = await assertAddsUp(store);
    for (const month of MONTHS) {
      const tallies = merges.flatMap((merge) => merge.tallies).filter(({ period }) => period === month);
      for (const [backend, usage] of Object.entries(maximaSummed(tallies))) {
        expect(stored[`${month} ${backend}`]).toEqual(usage);
      }
    }
  });
});
