import { join } from "node:path";
import type { UsageStore } from "@usage/counter-core";
import * as onPostgres from "@usage/store-drizzle/postgres";
import * as onSqlite from "@usage/store-drizzle/sqlite";
import SqliteDatabase from "better-sqlite3";
import { drizzle as drizzleSqlite } from "drizzle-orm/better-sqlite3";
import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder } from "./support/folder.ts";
import { freshSchema } from "./support/schema.ts";
import { manyTallies, storedRequests } from "./support/tallies.ts";

async function onSqliteFile(prefix: string | undefined): Promise<readonly (UsageStore & AsyncDisposable)[]> {
  const folder = await freshFolder();
  onTestFinished(() => folder.dispose());
  const path = join(folder.path, "usage.db");
  const own = prefix === undefined ? {} : { prefix };
  return [await onSqlite.openSqliteStore(path), await onSqlite.openSqliteStore(path, own)];
}

async function onPostgresSchema(prefix: string | undefined): Promise<readonly (UsageStore & AsyncDisposable)[]> {
  const schema = await freshSchema();
  onTestFinished(() => schema.dispose());
  const own = prefix === undefined ? {} : { prefix };
  return [await onPostgres.openPostgresStore(schema.url), await onPostgres.openPostgresStore(schema.url, own)];
}

const OLD = { writer: "w", period: "2020-01", backend: "oci", usage: { apiRequests: 1 } };

describe.each([
  ["SQLite", onSqliteFile],
  ["Postgres", onPostgresSchema],
])("stores with tables of their own in one database, on %s", (_, open) => {
  it("know nothing of each other", async () => {
    const [usual, own] = (await open("billing_2_")) as [UsageStore & AsyncDisposable, UsageStore & AsyncDisposable];
    await usual.merge([...manyTallies(3, "w", 5), OLD]);
    await own.merge([...manyTallies(2, "w", 100), OLD]);
    expect(await storedRequests(usual)).toBe(15);
    expect(await storedRequests(own)).toBe(200);
    const { cursor = "" } = await own.totals("2026-01", "w");
    await usual.merge([OLD]);
    expect(await own.fold("2020-02")).toEqual(["2020-01"]);
    expect(await usual.merge([{ ...OLD, writer: "v" }])).toEqual([]);
    expect(await own.merge([{ ...OLD, writer: "v" }])).toHaveLength(1);
    const mark = { period: "2026-01", backend: "backend-0", mark: "80%" };
    expect([await usual.claim?.([mark]), await own.claim?.([mark])]).toEqual([[mark], [mark]]);
    await own.remove("backend-0");
    expect(await storedRequests(usual)).toBe(15);
    expect([await usual.claim?.([mark]), await own.claim?.([mark])]).toEqual([[], [mark]]);
    expect((await own.totals("2026-01", "w", { since: cursor })).usage.has("backend-2")).toBe(false);
    await Promise.all([usual[Symbol.asyncDispose](), own[Symbol.asyncDispose]()]);
  });

  it("are the same without one", async () => {
    const [first, second] = (await open(undefined)) as [UsageStore & AsyncDisposable, UsageStore & AsyncDisposable];
    await first.merge(manyTallies(3));
    expect(await storedRequests(second)).toBe(3);
    await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
  });
});

describe("a prefix", () => {
  it.each(["", "Usage_", "1_", "a-b", 'a"b', "a b", "x'; drop table usage_tallies; --", "ü_", "a".repeat(41), 5, null])(
    "%s is refused",
    async (prefix) => {
      const options = { prefix: prefix as string };
      const client = new SqliteDatabase(":memory:");
      const db = drizzleSqlite(client);
      expect(() => onSqlite.sqliteUsageStore(db, options)).toThrow("prefix must be");
      await expect(onSqlite.migrate(db, options)).rejects.toThrow(RangeError);
      expect(() => onPostgres.usageTables(options.prefix)).toThrow("prefix must be");
      await expect(onSqlite.openSqliteStore(":memory:", options)).rejects.toThrow(RangeError);
      const { url } = { url: "postgres://127.0.0.1:1/x" };
      await expect(onPostgres.openPostgresStore(url, options)).rejects.toThrow(RangeError);
      client.close();
    },
  );

  it("of the longest kind names tables that no database cuts, on one's own database, too", async () => {
    const prefix = `${"p".repeat(39)}_`;
    const client = new SqliteDatabase(":memory:");
    const db = drizzleSqlite(client);
    await onSqlite.migrate(db, { prefix });
    await onSqlite.migrate(db, { prefix });
    const store = onSqlite.sqliteUsageStore(db, { prefix });
    await store.merge(manyTallies(1));
    expect(db.select().from(onSqlite.usageTables(prefix).totals).all()).toHaveLength(3);
    expect(client.prepare("select name from sqlite_master where name like 'usage%'").all()).toEqual([]);
    client.close();
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    await using own = await onPostgres.openPostgresStore(schema.url, { prefix });
    await own.merge(manyTallies(1));
    expect(await own.db.select().from(onPostgres.usageTables(prefix).totals)).toHaveLength(3);
    await using again = await onPostgres.openPostgresStore(schema.url, { prefix });
    expect(await storedRequests(again)).toBe(1);
  });
});
