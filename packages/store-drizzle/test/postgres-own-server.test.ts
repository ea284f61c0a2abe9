import { openPostgresStore, StoreError } from "@usage/store-drizzle/postgres";
import { type PostgresServer, startPostgres } from "@usage/test-servers";
import { sql } from "drizzle-orm";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { manyTallies, storedRequests } from "./support/tallies.ts";

describe("a store on a Postgres server of its own", { timeout: 120_000 }, () => {
  let server: PostgresServer;
  let store: Awaited<ReturnType<typeof openPostgresStore>>;

  beforeEach(async () => {
    server = await startPostgres();
    store = await openPostgresStore(server.url);
  });
  afterEach(async () => {
    await store.close();
    await server.stop();
  });

  it("loses nothing and doubles nothing when the server is killed in the middle of a merge and started again", async () => {
    const watcher = postgres(server.url, { max: 1 });
    const tallies = [...manyTallies(20_000, "v", 3), ...manyTallies(20_000, "w", 4)];
    const merging = store.merge(tallies).catch((reason: unknown) => reason);
    await expect.poll(() => storedRows(watcher), { timeout: 30_000, interval: 5 }).toBeGreaterThan(0);
    await server.kill();
    expect(await merging).toBeInstanceOf(StoreError);
    await expect(store.merge(tallies)).rejects.toThrow(StoreError);
    await server.start();
    const found = await storedRows(watcher);
    expect(found).toBeGreaterThan(0);
    expect(found).toBeLessThan(tallies.length * 3);
    expect(await store.merge(tallies)).toEqual([]);
    expect(await storedRequests(store)).toBe(20_000 * 7);
    await watcher.end();
  });

  it("needs no right to create where an administrator has migrated", async () => {
    await store.db.execute(sql`create role limited login`);
    await store.db.execute(sql`revoke create on schema public from public`);
    await store.db.execute(sql`grant select, insert, update, delete on usage_tallies to limited`);
    const url = new URL(server.url);
    url.username = "limited";
    const limited = await openPostgresStore(url.href);
    await limited.merge(manyTallies(1));
    expect(await storedRequests(limited)).toBe(1);
    await limited.remove("backend-0");
    expect(await storedRequests(limited)).toBe(0);
    await limited.close();
  });
});

async function storedRows(client: postgres.Sql): Promise<number> {
  const [row] = await client`select count(*)::integer as count from usage_tallies`;
  return Number(row?.count);
}
