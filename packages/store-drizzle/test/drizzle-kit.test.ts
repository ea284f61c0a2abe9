import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openPostgresStore, usageTotals as postgresTotals } from "@usage/store-drizzle/postgres";
import { migrate, openSqliteStore, usageTotals as sqliteTotals } from "@usage/store-drizzle/sqlite";
import { startPostgres } from "@usage/test-servers";
import SqliteDatabase from "better-sqlite3";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder } from "./support/folder.ts";
import { manyTallies, storedRequests } from "./support/tallies.ts";

const KIT = fileURLToPath(new URL("bin.cjs", import.meta.resolve("drizzle-kit")));
const SCHEMAS = { sqlite: "support/drizzle-kit/sqlite.ts", postgresql: "support/drizzle-kit/postgres.ts" };
const NO_CHANGES = "No changes detected";

const OLD_TABLE = `create table if not exists usage_tallies (
  period text not null,
  backend text not null,
  dimension text not null,
  writer text not null,
  amount integer not null constraint usage_tallies_amount check (amount >= 0),
  updated_at integer not null default (cast(unixepoch('subsec') * 1000 as integer)),
  primary key (period, backend, dimension, writer)
) strict, without rowid`;
const OLD_VIEW = `create view if not exists usage_totals as
select period, backend, dimension, cast(min(total(amount), 9007199254740991) as integer) as amount
from usage_tallies
group by period, backend, dimension`;
const OLD_KIT_TABLE = `CREATE TABLE \`usage_tallies\` (
	\`period\` text NOT NULL,
	\`backend\` text NOT NULL,
	\`dimension\` text NOT NULL,
	\`writer\` text NOT NULL,
	\`amount\` integer NOT NULL,
	\`updated_at\` integer DEFAULT (cast(unixepoch('subsec') * 1000 as integer)) NOT NULL,
	PRIMARY KEY(\`period\`, \`backend\`, \`dimension\`, \`writer\`),
	CONSTRAINT "usage_tallies_amount" CHECK("usage_tallies"."amount" >= 0)
)`;

/** `drizzle-kit push` as a user runs it whose schema exports ours beside a table `mine`; resolves with what it printed. */
async function push(dialect: "sqlite" | "postgresql", url: string): Promise<string> {
  const schema = fileURLToPath(new URL(SCHEMAS[dialect], import.meta.url));
  const args = [KIT, "push", "--dialect", dialect, "--schema", schema, "--url", url, "--force", "--verbose"];
  const env = { ...process.env, NODE_OPTIONS: "--conditions=@usage/source" };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env });
  return `${stdout}${stderr}`;
}

describe("drizzle-kit push on SQLite", { timeout: 120_000 }, () => {
  async function freshFile(): Promise<string> {
    const folder = await freshFolder();
    onTestFinished(() => folder.dispose());
    return join(folder.path, "usage.db");
  }

  /** What it says once `mine` is there, and has to say the second time. */
  async function pushTwice(file: string): Promise<readonly string[]> {
    return [await push("sqlite", file), await push("sqlite", file)];
  }

  it("adds the user's own table after migrate, and then has nothing to do", async () => {
    const file = await freshFile();
    {
      await using store = await openSqliteStore(file);
      await store.merge(manyTallies(3));
    }
    const [first, second] = await pushTwice(file);
    expect(first).toContain("CREATE TABLE `mine`");
    expect(first).not.toMatch(/usage_[tfmic]/);
    expect(second).toContain(NO_CHANGES);
    await using store = await openSqliteStore(file);
    expect(await storedRequests(store)).toBe(3);
    expect(store.db.select().from(sqliteTotals).all()).toHaveLength(9);
  });

  it.each([
    ["an older version", OLD_TABLE, OLD_VIEW],
    ["drizzle-kit with an older schema", OLD_KIT_TABLE, OLD_VIEW.replaceAll("\n", " ")],
  ])("does so, too, where %s made table and view, and keeps what is stored", async (_, table, view) => {
    const file = await freshFile();
    const client = new SqliteDatabase(file);
    client.exec(`${table}; ${view}; create table mine (id integer not null);
      create view reader as select * from usage_tallies, mine;
      insert into usage_tallies (period, backend, dimension, writer, amount) values ('2026-01', 'oci', 'apiRequests', 'w', 5)`);
    const before = client.prepare("select * from usage_tallies").all();
    const db = drizzle(client);
    await Promise.all([migrate(db), migrate(db)]);
    expect(client.prepare("select * from usage_tallies").all()).toEqual(before);
    expect(() => client.exec("update usage_tallies set amount = -1")).toThrow("usage_tallies_amount");
    client.exec("drop view reader");
    expect(await push("sqlite", file)).toContain(NO_CHANGES);
    expect(db.select().from(sqliteTotals).all()).toMatchObject([{ backend: "oci", amount: 5 }]);
    client.close();
  });

  it("is not helped by migrate where the table has a trigger of the user's own, which is kept", async () => {
    const client = new SqliteDatabase(await freshFile());
    client.exec(`${OLD_TABLE}; create view reader as select * from usage_tallies;
      create trigger mine after insert on usage_tallies begin select 1; end`);
    await migrate(drizzle(client));
    expect(
      client.prepare("select type, name from sqlite_master where type in ('trigger', 'view') order by name").all(),
    ).toEqual([
      { type: "trigger", name: "mine" },
      { type: "view", name: "reader" },
      { type: "view", name: "usage_totals" },
    ]);
    client.close();
  });

  it("would not apply anything to what an older version made, before migrate", async () => {
    const file = await freshFile();
    new SqliteDatabase(file).exec(`${OLD_TABLE}; ${OLD_VIEW}`).close();
    await expect(push("sqlite", file)).rejects.toMatchObject({
      stdout: expect.stringContaining("Could not process view"),
    });
  });

  it("leaves a view of that name alone that is the user's own", async () => {
    await using store = await openSqliteStore(":memory:");
    store.db.run(sql`drop view usage_totals`);
    store.db.run(sql.raw("create view usage_totals as\nselect backend,\n'mine' as mine from usage_tallies"));
    await migrate(store.db);
    expect(store.db.get(sql`select count(*) as count from pragma_table_info('usage_totals')`)).toEqual({ count: 2 });
  });

  it("makes what a store needs in an empty database, and then has nothing to do, nor has migrate", async () => {
    const file = await freshFile();
    const [first, second] = await pushTwice(file);
    expect(first).toContain("CREATE TABLE `usage_tallies`");
    expect(second).toContain(NO_CHANGES);
    {
      await using store = await openSqliteStore(file);
      await store.merge(manyTallies(3));
      expect(await storedRequests(store)).toBe(3);
    }
    expect(await push("sqlite", file)).toContain(NO_CHANGES);
  });
});

describe("drizzle-kit push on Postgres", { timeout: 120_000 }, () => {
  it("adds the user's own table after migrate, and then has nothing to do", async () => {
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    await using store = await openPostgresStore(server.url);
    await store.merge(manyTallies(3));
    const first = await push("postgresql", server.url);
    expect(first).toContain('CREATE TABLE "mine"');
    expect(first).not.toMatch(/usage_[tfmic]/);
    expect(await push("postgresql", server.url)).toContain(NO_CHANGES);
    expect(await store.db.select().from(postgresTotals)).toHaveLength(9);
  });

  it("makes what a store needs in an empty database, and then has nothing to do, nor has migrate", async () => {
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    const first = await push("postgresql", server.url);
    expect(first).toContain('CREATE TABLE "usage_tallies"');
    expect(await push("postgresql", server.url)).toContain(NO_CHANGES);
    await using store = await openPostgresStore(server.url);
    await store.merge(manyTallies(3));
    expect(await storedRequests(store)).toBe(3);
    expect(await push("postgresql", server.url)).toContain(NO_CHANGES);
  });
});
