import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { UsageStore } from "@usage/counter-core";
import { openSqliteStore, StoreError, StoreOpenError, usageTallies } from "@usage/store-drizzle/sqlite";
import SqliteDatabase from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freshFolder } from "./support/folder.ts";
import { runNode } from "./support/run-node.ts";
import { manyTallies, PERIOD, storedRequests, tally } from "./support/tallies.ts";

describe("a store whose SQLite file is deleted or replaced while it runs", () => {
  let folder: Awaited<ReturnType<typeof freshFolder>>;
  let data: string;
  let path: string;
  let store: Awaited<ReturnType<typeof openSqliteStore>>;

  beforeEach(async () => {
    folder = await freshFolder();
    data = join(folder.path, "data");
    mkdirSync(data);
    path = join(data, "usage.db");
    store = await openSqliteStore(path);
    await store.merge([tally("w", "before", { apiRequests: 10 })]);
  });
  afterEach(async () => {
    await store.close();
    await folder.dispose();
  });

  /** As another program reads it, of the file that is at the path. */
  function onDisk(at = path): Record<string, number> {
    const database = new SqliteDatabase(at, { readonly: true, fileMustExist: true });
    const rows = database.prepare<[], { backend: string; amount: number }>("select backend, amount from usage_tallies");
    const amounts = Object.fromEntries(rows.all().map(({ backend, amount }) => [backend, amount]));
    database.close();
    return amounts;
  }

  function writersOnDisk(): readonly string[] {
    const database = new SqliteDatabase(path, { readonly: true, fileMustExist: true });
    const rows = database.prepare<[], { writer: string }>("select distinct writer from usage_tallies order by writer");
    const writers = rows.all().map(({ writer }) => writer);
    database.close();
    return writers;
  }

  it.each<[what: string, change: () => void]>([
    ["deleted", () => rmSync(path)],
    [
      "deleted with all that SQLite keeps beside it",
      () => {
        for (const name of readdirSync(data)) rmSync(join(data, name));
      },
    ],
    ["moved away", () => renameSync(path, join(data, "old.db"))],
    [
      "moved away in its folder",
      () => {
        renameSync(data, join(folder.path, "old"));
        mkdirSync(data);
      },
    ],
    [
      "replaced by an empty file",
      () => {
        rmSync(path);
        writeFileSync(path, "");
      },
    ],
  ])("merges into a new one when it is %s, and says that it has lost what it had", async (_, change) => {
    expect(store.losses?.()).toBe(0);
    change();
    expect(await store.merge([tally("w", "after", { apiRequests: 20 })])).toEqual([]);
    expect(store.losses?.()).toBe(1);
    expect(onDisk()).toEqual({ after: 20 });
    await store.merge([tally("w", "before", { apiRequests: 10 })]);
    expect(store.losses?.()).toBe(1);
    expect(onDisk()).toEqual({ before: 10, after: 20 });
    expect(await store.db.select().from(usageTallies)).toHaveLength(2);
  });

  it("notices in a merge of nothing, and in every read", async () => {
    const looks: readonly ((store: UsageStore) => Promise<unknown>)[] = [
      (store) => store.merge([]),
      async (store) => store.claim?.([]),
      async (store) => (await store.totals(PERIOD, "w")).usage,
      (store) => store.fold("2026-01"),
      (store) => store.tallies(PERIOD, ["before"]),
      (store) => store.history({}),
      (store) => store.remove("before"),
    ];
    for (const [before, look] of looks.entries()) {
      await store.merge([tally("w", "before", { apiRequests: 10 })]);
      rmSync(path);
      expect([...(((await look(store)) as Iterable<unknown>) ?? [])]).toEqual([]);
      expect(store.losses?.()).toBe(before + 1);
      expect(existsSync(path)).toBe(true);
    }
  });

  it("tells a mark as new once more where the file is gone in which it was claimed", async () => {
    const mark = { period: PERIOD, mark: "opened" };
    expect(await store.claim?.([mark])).toEqual([mark]);
    rmSync(path);
    expect(await store.claim?.([mark])).toEqual([mark]);
    expect(store.losses?.()).toBe(1);
    expect(await store.claim?.([mark])).toEqual([]);
    const database = new SqliteDatabase(path, { readonly: true, fileMustExist: true });
    expect(database.prepare("select period, mark from usage_marks").all()).toEqual([mark]);
    database.close();
  });

  it("merges all of it into the new file when it is deleted in the middle of a merge", async () => {
    const merging = store.merge(manyTallies(3_000));
    await expect.poll(() => Object.keys(onDisk()).length, { interval: 1 }).toBeGreaterThan(1);
    rmSync(path);
    await merging;
    expect(Object.keys(onDisk())).toHaveLength(3_000);
    expect(store.losses?.()).toBe(1);
  });

  it("goes on in a backup that was put in its place, and adds nothing of the old file to it", async () => {
    const backup = join(folder.path, "backup.db");
    {
      await using other = await openSqliteStore(backup);
      await other.merge([tally("u", "backup", { apiRequests: 7 })]);
    }
    await store.merge(manyTallies(100));
    renameSync(backup, path);
    expect(
      Object.fromEntries(
        Array.from((await store.totals(PERIOD, "w")).usage, ([name, { all }]) => [name, all.apiRequests]),
      ),
    ).toEqual({ backup: 7 });
    await store.merge([tally("w", "after", { apiRequests: 1 })]);
    expect(onDisk()).toEqual({ backup: 7, after: 1 });
    const [check] = store.db.all<{ integrity_check: string }>("pragma integrity_check");
    expect(check).toEqual({ integrity_check: "ok" });
  });

  it("leaves all that it had stored in a file that was moved away", async () => {
    await store.merge(manyTallies(100));
    renameSync(path, join(data, "old.db"));
    await store.merge([]);
    expect(Object.keys(onDisk(join(data, "old.db")))).toHaveLength(101);
    expect(onDisk()).toEqual({});
  });

  it.each(["-wal", "-shm"])("loses nothing when only its %s file is deleted", async (suffix) => {
    await store.merge(manyTallies(100));
    rmSync(`${path}${suffix}`);
    await store.merge([tally("w", "after", { apiRequests: 1 })]);
    expect(Object.keys(onDisk())).toHaveLength(102);
  });

  it("takes a file that is reached by a link for the same, until the link leads elsewhere", async () => {
    const link = join(folder.path, "link.db");
    symlinkSync(path, link);
    await using linked = await openSqliteStore(link);
    linkSync(path, join(data, "same.db"));
    await linked.merge([tally("w", "after", { apiRequests: 1 })]);
    expect(linked.losses?.()).toBe(0);
    const elsewhere = join(folder.path, "elsewhere.db");
    rmSync(link);
    symlinkSync(elsewhere, link);
    await linked.merge([tally("w", "after", { apiRequests: 1 })]);
    expect(linked.losses?.()).toBe(1);
    expect(onDisk(elsewhere)).toEqual({ after: 1 });
    expect(onDisk()).toEqual({ before: 10, after: 1 });
  });

  it("says what is wrong while the folder is gone, and stores once it is back", async () => {
    rmSync(data, { recursive: true });
    for (let times = 0; times < 2; times++) {
      await expect(store.merge([])).rejects.toThrow(StoreOpenError);
      await expect(store.totals(PERIOD, "w")).rejects.toThrow(`cannot open ${path}`);
    }
    expect(store.losses?.()).toBe(1);
    mkdirSync(data);
    await store.merge([tally("w", "after", { apiRequests: 1 })]);
    expect(onDisk()).toEqual({ after: 1 });
    expect(store.losses?.()).toBe(1);
  });

  it("says what is wrong while something else is in its place", async () => {
    rmSync(path);
    writeFileSync(path, "this is no database, and whoever put it here will be told so ".repeat(100));
    await expect(store.merge([])).rejects.toThrow(StoreError);
    rmSync(path);
    await store.merge([]);
    expect(onDisk()).toEqual({});
  });

  it("can be closed while the file is gone", async () => {
    rmSync(data, { recursive: true });
    await store.close();
    await expect(store.merge([])).resolves.toEqual([]);
    await expect(store.totals(PERIOD, "w")).rejects.toThrow(StoreError);
    expect(existsSync(data)).toBe(false);
  });

  it("goes on with the same file when the process changes its folder", async () => {
    const before = process.cwd();
    const elsewhere = await freshFolder();
    process.chdir(data);
    const relative = await openSqliteStore("relative.db");
    try {
      process.chdir(elsewhere.path);
      await relative.merge([tally("w", "after", { apiRequests: 1 })]);
      expect(relative.losses?.()).toBe(0);
      expect(onDisk(join(data, "relative.db"))).toEqual({ after: 1 });
    } finally {
      process.chdir(before);
      await relative.close();
      await elsewhere.dispose();
    }
  });

  it("leaves a database in memory alone", async () => {
    await using memory = await openSqliteStore(":memory:");
    for (let times = 0; times < 3; times++) await memory.merge([tally("w", "oci", { apiRequests: 1 })]);
    expect(await storedRequests(memory)).toBe(1);
    expect(memory.losses?.()).toBe(0);
  });

  it("adds nothing of the old file's log to what was put in its place, while somebody still reads that", async () => {
    const backup = join(data, "backup.db");
    const other = await openSqliteStore(backup);
    await other.merge([tally("x", "backup", { apiRequests: 1 })]);
    await other.close();
    const reader = new SqliteDatabase(path, { readonly: true });
    try {
      reader.exec("begin");
      reader.prepare("select count(*) from usage_tallies").get();
      // What is in the log after that, nobody can move into the file.
      await store.merge([tally("w", "before", { apiRequests: 15 })]);
      renameSync(backup, path);
      await store.merge([tally("w", "after", { apiRequests: 20 })]);
      expect(store.losses?.()).toBe(1);
      expect(await storedRequests(store)).toBe(21);
      expect(store.db.all("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
    } finally {
      reader.close();
    }
  });

  it("is whole again after processes that had it open have all noticed", async () => {
    const writers = ["a", "b"].map((writer) => runNode("merge-until-lost.ts", path, "200", writer));
    await expect.poll(() => writersOnDisk(), { timeout: 20_000, interval: 5 }).toEqual(["a", "b", "w"]);
    rmSync(path);
    await Promise.all(writers.map((run) => run.output));
    await store.merge([tally("c", "backend-0", { apiRequests: 1 })]);
    expect(await storedRequests(store)).toBe(300 * 200 * 2 + 1);
    expect(store.db.all("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
  });
});
