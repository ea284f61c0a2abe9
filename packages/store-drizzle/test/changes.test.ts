import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { UsageStore } from "@usage/counter-core";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { sql } from "drizzle-orm";
import postgres from "postgres";
import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder } from "./support/folder.ts";
import { freshSchema } from "./support/schema.ts";
import { manyTallies, PERIOD, tally } from "./support/tallies.ts";

async function sqliteStore() {
  const folder = await freshFolder();
  const store = await openSqliteStore(join(folder.path, "usage.db"));
  onTestFinished(async () => {
    await store.close();
    await folder.dispose();
  });
  return store;
}

async function postgresStore() {
  const schema = await freshSchema();
  const store = await openPostgresStore(schema.url);
  onTestFinished(async () => {
    await store.close();
    await schema.dispose();
  });
  return { store, schema };
}

async function changedSince(store: UsageStore, since: string | undefined): Promise<readonly string[]> {
  const { usage } = await store.totals(PERIOD, "w", since === undefined ? {} : { since });
  return [...usage.keys()].sort();
}

const TEN = manyTallies(10, "v", 5);
const NAMES = TEN.map(({ backend }) => backend).sort();

describe("what changed since a cursor on SQLite", () => {
  it("is what changed, and nothing else but what changed in the same millisecond", async () => {
    const store = await sqliteStore();
    await store.merge(manyTallies(2_000));
    await sleep(5);
    await store.merge([tally("w", "last", { apiRequests: 1 })]);
    const { cursor } = await store.totals(PERIOD, "w");
    expect(await changedSince(store, cursor)).toEqual(["last"]);
    await store.merge(TEN);
    expect(await changedSince(store, cursor)).toEqual([...NAMES, "last"]);
    await sleep(5);
    await store.merge([...TEN, ...manyTallies(2_000)]);
    expect(await changedSince(store, cursor)).toEqual([...NAMES, "last"]);
  });

  it("is told though the clock stepped back by an hour", async () => {
    const store = await sqliteStore();
    await store.merge(manyTallies(20));
    store.db.run(sql`update usage_tallies set updated_at = updated_at + 3600000 where backend = 'backend-15'`);
    const { cursor } = await store.totals(PERIOD, "w");
    await store.merge(TEN);
    expect(await changedSince(store, cursor)).toEqual(["backend-15", ...NAMES].sort());
  });

  it("is told of what was merged while the answer with the cursor was read", async () => {
    const store = await sqliteStore();
    await store.merge(manyTallies(3_000));
    await sleep(5);
    const reading = store.totals(PERIOD, "w");
    for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate);
    // As another process would: the first page is read, the last one is not.
    store.db.run(
      sql`update usage_tallies set amount = 9, updated_at = updated_at + 1000 where backend in ('backend-0', 'backend-999')`,
    );
    store.db.run(sql`update usage_tallies set updated_at = updated_at + 1000 where backend = 'backend-999'`);
    const { usage, cursor } = await reading;
    expect([usage.get("backend-0"), usage.get("backend-999")]).toMatchObject([
      { all: { apiRequests: 1 } },
      { all: { apiRequests: 9 } },
    ]);
    expect(await changedSince(store, cursor)).toContain("backend-0");
  });

  it("is everything once the file was replaced", async () => {
    const store = await sqliteStore();
    await store.merge(manyTallies(20));
    const { cursor } = await store.totals(PERIOD, "w");
    await using other = await openSqliteStore(":memory:");
    await other.merge(manyTallies(5));
    expect(await changedSince(other, cursor)).toHaveLength(5);
  });
});

describe("what changed since a cursor on Postgres", () => {
  it("is what changed, and what had changed in the last minute", async () => {
    const { store } = await postgresStore();
    await store.merge(manyTallies(2_000));
    await store.db.execute(sql`update usage_tallies set updated_at = updated_at - interval '2 minutes'`);
    await store.merge([tally("w", "last", { apiRequests: 1 })]);
    const { cursor } = await store.totals(PERIOD, "w");
    await store.merge([...TEN, ...manyTallies(2_000)]);
    expect(await changedSince(store, cursor)).toEqual([...NAMES, "last"]);
  });

  it("is told though the clock stepped back by an hour, or another primary's is behind", async () => {
    const { store } = await postgresStore();
    await store.merge(manyTallies(20));
    await store.db.execute(
      sql`update usage_tallies set updated_at = updated_at + interval '1 hour' where backend = 'backend-15'`,
    );
    const { cursor } = await store.totals(PERIOD, "w");
    await store.merge(TEN);
    expect(await changedSince(store, cursor)).toEqual(["backend-15", ...NAMES].sort());
  });

  it("is everything where the cursor is of a clock that was ahead, as before it stepped back", async () => {
    const { store } = await postgresStore();
    await store.merge(manyTallies(20));
    await store.db.execute(sql`update usage_tallies set updated_at = updated_at - interval '2 hours'`);
    const { cursor = "" } = await store.totals(PERIOD, "w");
    expect(await changedSince(store, cursor)).toEqual([]);
    const ahead = cursor.replace(/ (\d{16}) /, (_, at: string) => ` ${Number(at) + 3_600_000_000} `);
    expect(ahead).not.toBe(cursor);
    expect(await changedSince(store, ahead)).toHaveLength(20);
  });

  it("is told of a merge that was under way when the answer with the cursor was read", async () => {
    const { store, schema } = await postgresStore();
    const client = postgres(schema.url, { max: 1 });
    onTestFinished(() => client.end());
    const commit = Promise.withResolvers<void>();
    const written = Promise.withResolvers<void>();
    const merging = client.begin(async (statement) => {
      await statement`insert into usage_tallies (period, backend, dimension, writer, amount, updated_at)
        values (${PERIOD}, 'slow', 'apiRequests', 'v', 1, clock_timestamp())`;
      written.resolve();
      await commit.promise;
    });
    await written.promise;
    await store.merge([tally("w", "fast", { apiRequests: 1 })]);
    const { cursor } = await store.totals(PERIOD, "w");
    commit.resolve();
    await merging;
    expect(await changedSince(store, cursor)).toContain("slow");
  });

  it("reads a few of many by an index", async () => {
    const { store } = await postgresStore();
    await store.merge(manyTallies(10_000));
    await store.db.execute(sql`update usage_tallies set updated_at = updated_at - interval '1 hour'`);
    await store.db.execute(sql`analyze usage_tallies`);
    const plan = await store.db.execute(sql`explain select distinct backend from usage_tallies
      where period = ${PERIOD} and updated_at >= now() - interval '1 minute'`);
    expect(JSON.stringify([...plan])).toContain("usage_tallies_changed");
  });
});

describe("what changed since a cursor for who has merged itself", () => {
  it("is all but its own, on SQLite", async () => {
    const folder = await freshFolder();
    onTestFinished(() => folder.dispose());
    const path = join(folder.path, "usage.db");
    await using store = await openSqliteStore(path);
    await using other = await openSqliteStore(path);
    await seeAllButOwn(store, other);
  });

  it("is also what is written at times of its own that are removed, on SQLite", async () => {
    await using store = await openSqliteStore(":memory:");
    await store.merge([tally("x", "seen", { apiRequests: 1 })]);
    const { cursor = "" } = await store.totals(PERIOD, "w");
    await sleep(5);
    await store.merge([tally("w", "gone", { apiRequests: 1 })], { writer: "w" });
    await store.remove("gone");
    // As another process would whose clock has stepped back.
    store.db.run(sql`update usage_tallies set amount = 9, updated_at = updated_at + 1 where backend = 'seen'`);
    const { usage } = await store.totals(PERIOD, "w", { since: cursor });
    expect(usage.get("seen")?.all.apiRequests).toBe(9);
  });

  it("is all but its own, on Postgres", async () => {
    const { store, schema } = await postgresStore();
    await using other = await openPostgresStore(schema.url);
    await seeAllButOwn(store, other);
  });
});

async function seeAllButOwn(store: UsageStore, other: UsageStore): Promise<void> {
  const own = { writer: "w" };
  await store.merge([tally("x", "seen", { apiRequests: 1 })]);
  const { cursor = "" } = await store.totals(PERIOD, "w");
  await store.merge(manyTallies(2_500), own);
  const told = async () => (await changedSince(store, cursor)).filter((backend) => backend !== "seen");
  expect(await told()).toEqual([]);
  // Others write in between, and so does the writer's own name elsewhere, or without saying who merges.
  await other.merge([tally("v", "backend-7", { apiRequests: 2 })]);
  await store.merge([tally("w", "backend-8", { apiRequests: 20 })], own);
  await other.merge([tally("w", "backend-9", { apiRequests: 20 })], own);
  await store.merge([tally("w", "backend-10", { apiRequests: 20 })]);
  expect(await told()).toEqual(["backend-10", "backend-7", "backend-9"]);
  // What it merges of others, it may not know.
  await store.merge(
    [tally("dead", "backend-11", { apiRequests: 2 }), tally("w", "backend-12", { apiRequests: 20 })],
    own,
  );
  expect(await told()).toContain("backend-11");
  expect((await store.totals(PERIOD, "v", { since: cursor })).usage.size).toBe(2_501);
}
