import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Mark } from "@usage/counter-core";
import { openPostgresStore, postgresUsageStore, StoreError } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder } from "./support/folder.ts";
import { runNode } from "./support/run-node.ts";
import { freshSchema } from "./support/schema.ts";

const COUNT = 150;

function markOf(name: string): Mark {
  return { period: "2026-01", backend: "oci", mark: name };
}

const MARKS = Array.from({ length: COUNT }, (_, index) => markOf(`${index}`));

async function sqlitePlace() {
  const folder = await freshFolder();
  onTestFinished(() => folder.dispose());
  const place = join(folder.path, "usage.db");
  return { place, open: () => openSqliteStore(place) };
}

async function postgresPlace() {
  const schema = await freshSchema();
  onTestFinished(() => schema.dispose());
  return { place: schema.url, open: () => openPostgresStore(schema.url) };
}

/** A process that claims all marks, one after the other from `first` on, and what it was told is new. */
function claiming(place: string, first: number) {
  const run = runNode("claim-marks.ts", place, `${COUNT}`, `${first}`);
  const claimed: string[] = [];
  createInterface({ input: run.process.stdout as NodeJS.ReadableStream }).on("line", (line) => claimed.push(line));
  return { run, claimed };
}

describe.each([
  ["SQLite", sqlitePlace],
  ["Postgres", postgresPlace],
])("processes that claim the same marks at once, on %s", { timeout: 60_000 }, (_, placeOf) => {
  it("are told of each that it is new once, by which nobody is told again after a crash", async () => {
    const { place, open } = await placeOf();
    await using store = await open();
    await using other = await open();
    const victim = claiming(place, 0);
    await expect.poll(() => victim.claimed.length, { timeout: 30_000, interval: 1 }).toBeGreaterThan(4);
    const others = [0, 50, 100].map((first) => claiming(place, first));
    victim.run.process.kill("SIGKILL");
    await once(victim.run.process, "exit");
    await expect(victim.run.output).rejects.toThrow();
    const here = await Promise.all([store.claim?.(MARKS), other.claim?.([...MARKS].reverse())]);
    await Promise.all(others.map(({ run }) => run.output));
    const claimed = [
      ...[victim, ...others].flatMap((process) => process.claimed),
      ...here.flatMap((marks) => (marks ?? []).map(({ mark }) => mark)),
    ];
    expect(new Set(claimed).size).toBe(claimed.length);
    // What it claimed when it was killed was claimed, and nobody knows, or was not.
    expect([COUNT - 1, COUNT]).toContain(claimed.length);
    expect(await store.claim?.(MARKS)).toEqual([]);
  });
});

describe("marks on Postgres", () => {
  it("are not new where the reply was lost, however often they are claimed again", async () => {
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    await using watcher = await openPostgresStore(schema.url);
    const [own, holder] = [postgres(schema.url), postgres(schema.url, { max: 1 })];
    onTestFinished(async () => void (await Promise.all([own.end(), holder.end()])));
    // It gives up on what the server goes on to do.
    const store = postgresUsageStore(drizzle(own), { timeoutMs: 500 });
    await holder.unsafe("begin");
    await holder`insert into usage_marks (backend, period, dimension, mark) values ('oci', '2026-01', '', 'a')`;
    await expect(store.claim?.([markOf("a")])).rejects.toThrow("claim gave up");
    await holder.unsafe("rollback");
    await expect.poll(() => holder`select mark from usage_marks`).toMatchObject([{ mark: "a" }]);
    expect(await store.claim?.([markOf("a"), markOf("b")])).toEqual([markOf("b")]);
    expect(await watcher.claim?.([markOf("a"), markOf("b")])).toEqual([]);
  });

  it.each([
    ["commit", []],
    ["rollback", [markOf("a")]],
  ] as const)("wait for a claim that is under way: %s", async (end, claimed) => {
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    await using store = await openPostgresStore(schema.url);
    const client = postgres(schema.url, { max: 1 });
    onTestFinished(() => client.end());
    await client.unsafe("begin");
    await client`insert into usage_marks (backend, period, dimension, mark) values ('oci', '2026-01', '', 'a')`;
    const claiming = store.claim?.([markOf("a")]);
    expect(await Promise.race([claiming, sleep(200, "waits")])).toBe("waits");
    await client.unsafe(end);
    expect(await claiming).toEqual(claimed);
  });

  it("cannot deadlock with another instance that claims the same marks in another order", async () => {
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    await using store = await openPostgresStore(schema.url);
    const client = postgres(schema.url, { max: 1 });
    onTestFinished(() => client.end());
    const insert = (mark: string) =>
      client`insert into usage_marks (backend, period, dimension, mark) values ('oci', '2026-01', '', ${mark})`;
    await client.unsafe("begin");
    await insert("a");
    const claiming = store.claim?.([markOf("c"), markOf("b"), markOf("a")]);
    await expect
      .poll(async () => {
        const [row] = await client`select count(*)::integer as waiting from pg_stat_activity
          where application_name = ${schema.name} and wait_event_type = 'Lock'`;
        return row?.waiting;
      })
      .toBe(1);
    await insert("b");
    await client.unsafe("commit");
    expect(await claiming).toEqual([markOf("c")]);
  });

  it("say what is missing where the table is not there, and are claimed once it is", async () => {
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    await using store = await openPostgresStore(schema.url);
    const client = postgres(schema.url, { max: 1 });
    onTestFinished(() => client.end());
    await client`alter table usage_marks rename to gone`;
    await expect(store.claim?.([markOf("a")])).rejects.toThrow(StoreError);
    await expect(store.claim?.([markOf("a")])).rejects.toThrow("create the table with migrate(db)");
    await client`alter table gone rename to usage_marks`;
    expect(await store.claim?.([markOf("a")])).toEqual([markOf("a")]);
  });
});
