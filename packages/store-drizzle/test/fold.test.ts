import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { UsageStore } from "@usage/counter-core";
import { openPostgresStore, StoreError } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import postgres from "postgres";
import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder } from "./support/folder.ts";
import { type NodeRun, runNode } from "./support/run-node.ts";
import { freshSchema } from "./support/schema.ts";

const OLD = "2020-01";

/** Where a store is, and how another instance opens it. */
interface Place {
  readonly place: string;
  readonly open: () => Promise<UsageStore & AsyncDisposable & { close(): Promise<void> }>;
}

async function sqlitePlace(): Promise<Place> {
  const folder = await freshFolder();
  onTestFinished(() => folder.dispose());
  const place = join(folder.path, "usage.db");
  return { place, open: () => openSqliteStore(place) };
}

async function postgresPlace(): Promise<Place> {
  const schema = await freshSchema();
  onTestFinished(() => schema.dispose());
  return { place: schema.url, open: () => openPostgresStore(schema.url) };
}

/** A process that stores until it is refused. */
function flushing({ place }: Place, writer: string) {
  const run: NodeRun = runNode("flush-until-folded.ts", place, OLD, writer);
  let taken = 0;
  let last = "";
  createInterface({ input: run.process.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    last = line;
    taken = Number(line) || taken;
  });
  return { run, taken: () => taken, last: () => last };
}

describe.each([
  ["SQLite", sqlitePlace],
  ["Postgres", postgresPlace],
])("folding on %s while other processes store, crash and come late", { timeout: 60_000 }, (_, placeOf) => {
  it("has all that was taken in the sums, and refuses the rest", async () => {
    const place = await placeOf();
    await using store = await place.open();
    await using other = await place.open();
    const writers = ["a", "b", "c"].map((writer) => flushing(place, writer));
    const victim = flushing(place, "victim");
    for (const { taken } of [...writers, victim])
      await expect.poll(taken, { timeout: 30_000, interval: 5 }).toBeGreaterThan(4);
    victim.run.process.kill("SIGKILL");
    await once(victim.run.process, "exit");
    await expect(victim.run.output).rejects.toThrow();
    await Promise.all([store.fold("2020-02"), other.fold("2020-02")]);
    await Promise.all(writers.map(({ run }) => run.output));
    for (const { last } of writers) expect(last()).toBe("PeriodFoldedError");
    const taken = writers.reduce((sum, writer) => sum + writer.taken(), 0);
    const stored = (await store.totals(OLD, "a")).usage.get("oci")?.all.apiRequests ?? 0;
    // What it had sent when it was killed was stored, or was not.
    expect([taken + victim.taken(), taken + victim.taken() + 1]).toContain(stored);
    const late = flushing(place, "late");
    await late.run.output;
    expect([late.taken(), late.last()]).toEqual([0, "PeriodFoldedError"]);
    expect(await store.tallies(OLD, ["oci"])).toEqual([
      { writer: "", period: OLD, backend: "oci", usage: { apiRequests: stored } },
    ]);
    expect(await store.fold("2020-02")).toEqual([]);
  });

  it("goes on where it broke off, and merges meanwhile are refused", async () => {
    const place = await placeOf();
    await using store = await place.open();
    const tallies = Array.from({ length: 3_000 }, (_, index) => ({
      writer: `w${index % 2}`,
      period: OLD,
      backend: `backend-${index >> 1}`,
      usage: { apiRequests: 1 },
    }));
    await store.merge(tallies);
    const whole = await store.history({});
    await using other = await place.open();
    const rowsLeft = async () =>
      (
        await other.tallies(
          OLD,
          whole.map(({ backend }) => backend),
        )
      ).length;
    // It is closed in the middle, as if its process had ended.
    const folding = await place.open();
    const outcome = folding.fold("2020-02").catch((error: unknown) => error);
    await expect.poll(rowsLeft, { timeout: 20_000, interval: 1 }).toBeLessThan(3_000);
    await folding.close();
    await outcome;
    expect(await other.history({})).toEqual(whole);
    expect(await other.merge(tallies.slice(-2))).toHaveLength(2);
    await other.fold("2020-02");
    expect(await rowsLeft()).toBe(1_500);
    expect(await other.history({})).toEqual(whole);
  });
});

describe("folding on Postgres", () => {
  it("waits for a merge that is under way, and has not seen that the period is closed", async () => {
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    await using store = await openPostgresStore(schema.url);
    await using folding = await openPostgresStore(schema.url);
    const early = { writer: "w", period: "2019", backend: "oci", usage: { apiRequests: 1 } };
    await store.merge([early, { ...early, period: OLD, usage: { apiRequests: 5 } }]);
    const client = postgres(schema.url, { max: 1 });
    onTestFinished(() => client.end());
    const commit = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const holding = client.begin(async (statement) => {
      await statement`select from usage_tallies where period = '2019' for update`;
      locked.resolve();
      await commit.promise;
    });
    await locked.promise;
    // It waits for the row of 2019, in a period that has no date and is never folded, before it comes to the other one.
    const merging = store.merge([
      { ...early, usage: { apiRequests: 2 } },
      { ...early, period: OLD, usage: { apiRequests: 10 } },
    ]);
    await sleep(200);
    const folded = folding.fold("2020-02");
    await sleep(300);
    commit.resolve();
    await holding;
    expect([await merging, await folded]).toEqual([[], [OLD]]);
    expect((await store.totals(OLD, "w")).usage.get("oci")?.all.apiRequests).toBe(10);
  });

  it("does not run where merges would not see it: at another isolation than read committed", async () => {
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    const url = new URL(schema.url);
    url.searchParams.set("options", "-c default_transaction_isolation=serializable");
    await using store = await openPostgresStore(url.href);
    const tally = { writer: "w", period: OLD, backend: "oci", usage: { apiRequests: 1 } };
    await store.merge([tally]);
    await expect(store.fold("2020-02")).rejects.toThrow(StoreError);
    await expect(store.fold("2020-02")).rejects.toThrow("default_transaction_isolation");
    expect(await store.tallies(OLD, ["oci"])).toEqual([tally]);
  });

  it("takes any text for a backend's name, also such as ends the block that it runs", async () => {
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    await using store = await openPostgresStore(schema.url);
    const names = ["$usage$", "end $usage$", "'; drop table usage_tallies; --", "\\", "🪣", "a"];
    await store.merge(names.map((backend) => ({ writer: "w", period: OLD, backend, usage: { apiRequests: 1 } })));
    const history = await store.history({});
    expect(await store.fold("2020-02")).toEqual([OLD]);
    expect(await store.history({})).toEqual(history);
  });
});
