import { once } from "node:events";
import { join } from "node:path";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freshFolder } from "./support/folder.ts";
import { runNode } from "./support/run-node.ts";
import { manyTallies, storedRequests } from "./support/tallies.ts";

describe("several processes on one SQLite file", () => {
  let folder: Awaited<ReturnType<typeof freshFolder>>;
  let path: string;

  beforeEach(async () => {
    folder = await freshFolder();
    path = join(folder.path, "usage.db");
  });
  afterEach(() => folder.dispose());

  it("merge at once, while another one holds the write lock for two seconds, and all is stored", async () => {
    await using store = await openSqliteStore(path);
    const locker = runNode("lock-sqlite.ts", path, "2000");
    if (locker.process.stdout === null) throw new Error("no output to wait for");
    await once(locker.process.stdout, "data");
    const mergers = ["a", "b"].map((writer) => runNode("merge-into-sqlite.ts", path, "10", writer));
    await store.merge(manyTallies(300, "c", 5));
    await Promise.all([locker, ...mergers].map((run) => run.output));
    expect(await storedRequests(store)).toBe(300 * (10 + 10 + 5));
  });

  it("start at once on a file that is not there, eight stores in four processes, and all of them find it migrated", async () => {
    const starters = ["a", "b", "c", "d"].map((name) =>
      runNode("merge-into-sqlite.ts", path, "1", `${name}1`, `${name}2`),
    );
    await Promise.all(starters.map((run) => run.output));
    await using store = await openSqliteStore(path);
    expect(await storedRequests(store)).toBe(300 * 8);
  });
});
