import { once } from "node:events";
import { join } from "node:path";
import type { Mark, Notice } from "@usage/counter-core";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import SqliteDatabase from "better-sqlite3";
import postgres from "postgres";
import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder } from "./support/folder.ts";
import { runNode } from "./support/run-node.ts";
import { freshSchema } from "./support/schema.ts";

const COUNT = 300;
const CHANNEL = "default";

function markOf(name: string): Mark {
  return { period: "2026-01", backend: "oci", mark: name, notice: { channel: CHANNEL, body: `{"of":"${name}"}` } };
}

const MARKS = Array.from({ length: COUNT }, (_, index) => markOf(`${index}`));

async function sqlitePlace() {
  const folder = await freshFolder();
  onTestFinished(() => folder.dispose());
  const place = join(folder.path, "usage.db");
  /** The milliseconds from one attempt to when the next is due, as the database has them. */
  const pauseMs = async (): Promise<number> => {
    const database = new SqliteDatabase(place);
    const row = database
      .prepare("select due_at - cast(unixepoch('subsec') * 1000 as integer) as ms from usage_marks")
      .get();
    database.exec("update usage_marks set due_at = 0");
    database.close();
    return (row as { ms: number }).ms;
  };
  return { place, open: () => openSqliteStore(place), pauseMs };
}

async function postgresPlace() {
  const schema = await freshSchema();
  onTestFinished(() => schema.dispose());
  const pauseMs = async (): Promise<number> => {
    const client = postgres(schema.url, { max: 1 });
    const [row] = await client`select extract(epoch from due_at - now())::float8 * 1000 as ms from usage_marks`;
    await client`update usage_marks set due_at = 'epoch'`;
    await client.end();
    return row?.ms;
  };
  return { place: schema.url, open: () => openPostgresStore(schema.url), pauseMs };
}

describe.each([
  ["SQLite", sqlitePlace],
  ["Postgres", postgresPlace],
])("notices on %s", { timeout: 60_000 }, (_, placeOf) => {
  it("go to one each of several processes that take at once", async () => {
    const { place, open } = await placeOf();
    await using store = await open();
    await store.claim?.(MARKS);
    const runs = Array.from({ length: 4 }, () => runNode("take-notices.ts", place, CHANNEL));
    await Promise.all(runs.map(({ process }) => process.stdout && once(process.stdout, "data")));
    for (const { process } of runs) process.stdin?.write("go");
    const outputs = await Promise.all(runs.map(({ output }) => output));
    const taken = outputs.flatMap((output) => output.trim().split("\n").slice(1));
    expect(taken.sort()).toEqual(MARKS.map(({ mark }) => mark).sort());
  });

  it("are due again after pauses that double up to the longest, however often they were taken", async () => {
    const { open, pauseMs } = await placeOf();
    await using store = await open();
    await store.claim?.([markOf("a")]);
    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 70; attempt++) {
      const [notice] =
        (await store.notices?.(CHANNEL, { limit: 1, retryMs: { first: 100_000, max: 2 ** 31 - 1 } })) ?? [];
      expect(notice?.attempts).toBe(attempt);
      pauses.push(await pauseMs());
    }
    for (const [index, pause] of pauses.entries()) {
      const expected = Math.min(2 ** 31 - 1, 100_000 * 2 ** index);
      expect(pause).toBeLessThanOrEqual(expected);
      expect(pause).toBeGreaterThan(expected - 60_000);
    }
  });

  it("of one who took them and died are given again, and what is acknowledged is not", async () => {
    const { open } = await placeOf();
    const query = { limit: 10, retryMs: { first: 200, max: 200 } };
    let taken: readonly Notice[] = [];
    {
      await using dead = await open();
      await dead.claim?.([markOf("a"), markOf("b")]);
      taken = (await dead.notices?.(CHANNEL, query)) ?? [];
      await dead.acknowledge?.(taken.filter(({ mark }) => mark === "b"));
    }
    await using store = await open();
    await expect.poll(() => store.notices?.(CHANNEL, query), { timeout: 10_000 }).toHaveLength(1);
    expect(taken).toHaveLength(2);
  });
});

describe("notices on Postgres", () => {
  it("that another one is taking are passed over, and not waited for", async () => {
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    await using store = await openPostgresStore(schema.url);
    await store.claim?.([markOf("a"), markOf("b")]);
    const client = postgres(schema.url, { max: 1 });
    onTestFinished(() => client.end());
    await client.unsafe("begin");
    await client`select from usage_marks where mark = 'a' for update`;
    const query = { limit: 10, retryMs: { first: 60_000, max: 60_000 } };
    expect((await store.notices?.(CHANNEL, query))?.map(({ mark }) => mark)).toEqual(["b"]);
    await client.unsafe("rollback");
    expect((await store.notices?.(CHANNEL, query))?.map(({ mark }) => mark)).toEqual(["a"]);
  });

  it("find what is due by an index that has nothing else", async () => {
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    await using store = await openPostgresStore(schema.url);
    await store.claim?.([markOf("a"), { period: "2026-01", mark: "silent" }]);
    const client = postgres(schema.url, { max: 1 });
    onTestFinished(() => client.end());
    const [row] = await client`select indexdef from pg_indexes
      where schemaname = ${schema.name} and indexname = 'usage_marks_due'`;
    expect(row?.indexdef).toMatch(/\(channel, due_at\) WHERE \(due_at IS NOT NULL\)$/);
  });
});

describe("a table of marks that an older version made", () => {
  const OLD_COLUMNS = "backend text not null, period text not null, dimension text not null, mark text not null";

  it("gets an outbox and keeps its marks, on SQLite", async () => {
    const folder = await freshFolder();
    onTestFinished(() => folder.dispose());
    const place = join(folder.path, "usage.db");
    const old = new SqliteDatabase(place);
    old.exec(`create table usage_marks (${OLD_COLUMNS}, created_at integer not null default 0,
      primary key (backend, period, dimension, mark)) strict, without rowid;
      insert into usage_marks (backend, period, dimension, mark) values ('oci', '2026-01', '', 'old')`);
    old.close();
    await using first = await openSqliteStore(place);
    await using second = await openSqliteStore(place);
    expect(await first.claim?.([markOf("old"), markOf("new")])).toEqual([markOf("new")]);
    expect(await second.notices?.(CHANNEL, { limit: 9, retryMs: { first: 1_000, max: 1_000 } })).toMatchObject([
      { mark: "new", attempts: 1 },
    ]);
  });

  it("gets an outbox and keeps its marks, on Postgres, where several migrate at once", async () => {
    const schema = await freshSchema();
    onTestFinished(() => schema.dispose());
    const client = postgres(schema.url, { max: 1 });
    onTestFinished(() => client.end());
    await client.unsafe(`create table usage_marks (${OLD_COLUMNS}, created_at timestamptz not null default now(),
      primary key (backend, period, dimension, mark))`);
    await client`insert into usage_marks (backend, period, dimension, mark) values ('oci', '2026-01', '', 'old')`;
    const [first, ...others] = await Promise.all(Array.from({ length: 3 }, () => openPostgresStore(schema.url)));
    await Promise.all(others.map((store) => store.close()));
    expect(await first?.claim?.([markOf("old"), markOf("new")])).toEqual([markOf("new")]);
    expect(await first?.notices?.(CHANNEL, { limit: 9, retryMs: { first: 1_000, max: 1_000 } })).toMatchObject([
      { mark: "new", attempts: 1 },
    ]);
    await first?.close();
  });
});
