import { join } from "node:path";
import {
  migrate,
  openSqliteStore,
  StoreBusyError,
  StoreError,
  StoreOpenError,
  sqliteUsageStore,
  TallyRefusedError,
  usageTallies,
  usageTotals,
} from "@usage/store-drizzle/sqlite";
import SqliteDatabase from "better-sqlite3";
import { eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freshFolder } from "./support/folder.ts";
import { manyTallies, PERIOD, storedRequests, tally, turnsDuring } from "./support/tallies.ts";

describe("a store on SQLite", () => {
  let folder: Awaited<ReturnType<typeof freshFolder>>;
  let path: string;
  let store: Awaited<ReturnType<typeof openSqliteStore>>;

  beforeEach(async () => {
    folder = await freshFolder();
    path = join(folder.path, "usage.db");
    store = await openSqliteStore(path);
  });
  afterEach(async () => {
    await store.close();
    await folder.dispose();
  });

  it("says that the disk is full, and stores everything exactly once after room was made", async () => {
    const pages = store.db.get<{ page_count: number }>(sql`pragma page_count`).page_count;
    store.db.get(sql.raw(`pragma max_page_count = ${pages + 20}`));
    const tallies = manyTallies(2_000);
    const error = await store.merge(tallies).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ operation: "merge", driverCode: "SQLITE_FULL" });
    const stored = await storedRequests(store);
    expect(stored).toBeGreaterThan(0);
    expect(stored).toBeLessThan(2_000);
    store.db.get(sql`pragma max_page_count = 1000000`);
    await store.merge(tallies);
    expect(await storedRequests(store)).toBe(2_000);
  });

  it("says that the table is gone, and stores everything once it is there again", async () => {
    const merging = store.merge(manyTallies(2_000));
    store.db.run(sql`drop table usage_tallies`);
    await expect(merging).rejects.toThrow("migrate(db)");
    await migrate(store.db);
    await store.merge(manyTallies(2_000));
    expect(await storedRequests(store)).toBe(2_000);
  });

  it("rejects the one tally that a constraint of the user's own refuses, and stores the others", async () => {
    store.db.run(sql`create trigger no_more before insert on usage_tallies when new.backend = 'backend-77' and new.amount > 5
      begin select raise(abort, 'not that one'); end`);
    const rejected = await store.merge(manyTallies(1_000, "w", 9));
    expect(rejected).toEqual([
      { tally: expect.objectContaining({ backend: "backend-77" }), reason: expect.any(Error) },
    ]);
    expect(rejected[0]?.reason).toBeInstanceOf(TallyRefusedError);
    expect(await storedRequests(store)).toBe(999 * 9);
  });

  it("writes nothing where nothing grew", async () => {
    await store.merge(manyTallies(100, "w", 5));
    const before = store.db.select().from(usageTallies).all();
    const changes = () => store.db.get<{ changes: number }>(sql`select total_changes() as changes`).changes;
    const start = changes();
    await store.merge([...manyTallies(100, "w", 5), ...manyTallies(100, "w", 4)]);
    expect(changes()).toBe(start);
    expect(store.db.select().from(usageTallies).all()).toEqual(before);
  });

  it("says when an amount last grew", async () => {
    await store.merge([tally("w", "oci", { apiRequests: 1 })]);
    store.db
      .update(usageTallies)
      .set({ updatedAt: new Date(0) })
      .run();
    await store.merge([tally("w", "oci", { apiRequests: 2 })]);
    const row = store.db.select().from(usageTallies).where(eq(usageTallies.backend, "oci")).get();
    expect(Math.abs(Date.now() - Number(row?.updatedAt))).toBeLessThan(60_000);
  });

  it("lets the event loop turn between chunks and between pages", async () => {
    expect(await turnsDuring(store.merge(manyTallies(3_000)))).toBeGreaterThan(8);
    expect(await turnsDuring(store.totals(PERIOD, "w"))).toBeGreaterThan(4);
    const names = Array.from({ length: 2_000 }, (_, index) => `backend-${index}`);
    expect(await turnsDuring(store.tallies(PERIOD, names))).toBeGreaterThan(4);
    expect(await turnsDuring(store.history({}))).toBeGreaterThan(4);
  });

  it("waits for another connection without blocking, up to the deadline, and stores it all after that", async () => {
    const impatient = sqliteUsageStore(store.db, { busyDeadlineMs: 200 });
    const other = new SqliteDatabase(path);
    other.exec("begin immediate");
    const merging = impatient.merge(manyTallies(1));
    expect(await turnsDuring(merging.catch(() => {}))).toBeGreaterThan(1);
    await expect(merging).rejects.toThrow(StoreBusyError);
    const patient = store.merge(manyTallies(1));
    setTimeout(() => other.exec("commit"), 100);
    await patient;
    other.close();
    expect(await storedRequests(store)).toBe(1);
  });

  it("stops waiting for another connection when the signal is aborted", async () => {
    const other = new SqliteDatabase(path);
    other.exec("begin immediate");
    const controller = new AbortController();
    const merging = store.merge(manyTallies(1), { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 50);
    await expect(merging).rejects.toThrow("enough");
    other.exec("rollback");
    other.close();
  });

  it("opens its file durable, and with a short busy timeout", () => {
    const pragma = (name: string) => Object.values(store.db.get<Record<string, unknown>>(sql.raw(`pragma ${name}`)))[0];
    expect(pragma("journal_mode")).toBe("wal");
    expect(pragma("synchronous")).toBe(2);
    expect(pragma("busy_timeout")).toBeLessThanOrEqual(50);
  });

  it("says so when the folder of the file is missing", async () => {
    await expect(openSqliteStore(join(folder.path, "missing", "usage.db"))).rejects.toThrow(StoreOpenError);
    for (const nothing of ["", undefined]) {
      await expect(openSqliteStore(nothing as string)).rejects.toThrow(/path of a SQLite database must be given/);
    }
  });

  it("can be closed twice, and says so when it is used afterwards", async () => {
    await store.close();
    await store.close();
    await expect(store.totals(PERIOD, "w")).rejects.toThrow(StoreError);
  });

  it("answers the totals of the dimensions that it was told of, and keeps the others", async () => {
    const llm = sqliteUsageStore(store.db, { dimensions: ["requests", "inputTokens"] });
    await llm.merge([tally("w", "gpt", { requests: 1, apiRequests: 2 }), tally("w", "oci", { apiRequests: 3 })]);
    const zero = { requests: 0, inputTokens: 0 };
    expect((await llm.totals(PERIOD, "v")).usage).toEqual(
      new Map([["gpt", { all: { ...zero, requests: 1 }, own: zero }]]),
    );
    expect(await llm.history({ backend: "gpt" })).toMatchObject([{ usage: { requests: 1, apiRequests: 2 } }]);
    expect((await store.totals(PERIOD, "w")).usage.get("gpt")?.all.apiRequests).toBe(2);
  });

  it("shows the totals in a view that never passes 2^53-1", async () => {
    const max = Number.MAX_SAFE_INTEGER;
    await store.merge(["u", "v", "w"].map((writer) => tally(writer, "oci", { apiRequests: max, egressBytes: 2 })));
    expect(store.db.select().from(usageTotals).all()).toEqual([
      { period: PERIOD, backend: "oci", dimension: "apiRequests", amount: max },
      { period: PERIOD, backend: "oci", dimension: "egressBytes", amount: 6 },
    ]);
  });

  it("reads amounts from a connection that answers 64-bit integers", async () => {
    const client = new SqliteDatabase(path).defaultSafeIntegers();
    const big = sqliteUsageStore(drizzle(client));
    await big.merge([tally("w", "oci", { apiRequests: Number.MAX_SAFE_INTEGER })]);
    expect((await big.totals(PERIOD, "w")).usage.get("oci")?.own.apiRequests).toBe(Number.MAX_SAFE_INTEGER);
    expect(await big.tallies(PERIOD, ["oci"])).toEqual([tally("w", "oci", { apiRequests: Number.MAX_SAFE_INTEGER })]);
    client.close();
  });

  it.each([-1, Number.NaN])("refuses busyDeadlineMs %s", (busyDeadlineMs) => {
    expect(() => sqliteUsageStore(store.db, { busyDeadlineMs })).toThrow(`got ${busyDeadlineMs}`);
  });

  it("refuses dimensions that are none, or no identifiers", () => {
    expect(() => sqliteUsageStore(store.db, { dimensions: [] })).toThrow("got none");
    expect(() => sqliteUsageStore(store.db, { dimensions: ["a b"] })).toThrow('"a b"');
  });
});
