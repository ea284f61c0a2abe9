import type { Tally, UsageStore } from "@usage/counter-core";
import { openPostgresStore, StoreError } from "@usage/store-drizzle/postgres";
import { type PostgresServer, startPostgres } from "@usage/test-servers";
import { sql } from "drizzle-orm";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { manyTallies, storedRequests } from "./support/tallies.ts";

describe("a store on a Postgres server of its own", () => {
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
    const watcher = postgres(server.url, { max: 1, fetch_types: false });
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
    await mergesSoon(store, tallies);
    expect(await storedRequests(store)).toBe(20_000 * 7);
    await watcher.end();
  });

  it("is back at once when the server is, however often it was asked meanwhile", async () => {
    await server.kill();
    for (let attempt = 0; attempt < 12; attempt++)
      await expect(store.merge(manyTallies(1))).rejects.toThrow(StoreError);
    await server.start();
    await mergesSoon(store, manyTallies(1));
  });

  it("still has what was claimed when the server is killed right after that and started again", async () => {
    const marks = Array.from({ length: 3_000 }, (_, index) => ({
      period: "2026-01",
      backend: "oci",
      mark: `${index}`,
      notice: { channel: "default", body: `${index}` },
    }));
    expect(await store.claim?.(marks)).toHaveLength(3_000);
    await server.kill();
    await server.start();
    const again = () => store.claim?.(marks).catch((reason: unknown) => reason);
    await expect.poll(again, { timeout: 8_000 }).toEqual([]);
    const query = { limit: 1_000, retryMs: { first: 60_000, max: 60_000 } };
    for (let round = 0; round < 3; round++) expect(await store.notices?.("default", query)).toHaveLength(1_000);
  });

  it("needs no right to create where an administrator has migrated", async () => {
    await store.db.execute(sql`create role limited login`);
    await store.db.execute(sql`revoke create on schema public from public`);
    await store.db.execute(sql`grant select, insert, update, delete on usage_tallies to limited`);
    await store.db.execute(sql`grant select, insert, delete on usage_grants to limited`);
    await store.db.execute(sql`grant select, insert on usage_folds to limited`);
    await store.db.execute(sql`grant select, insert, delete on usage_marks to limited`);
    await store.db.execute(sql`grant select, delete on usage_timeline to limited`);
    const url = new URL(server.url);
    url.username = "limited";
    const limited = await openPostgresStore(url.href);
    await limited.merge(manyTallies(1));
    expect(await storedRequests(limited)).toBe(1);
    const mark = { period: "2026-01", backend: "backend-0", mark: "80%" };
    expect(await limited.claim?.([mark])).toEqual([mark]);
    const grant = { period: "2026-01", backend: "backend-0", id: "1", amounts: { apiRequests: 1 }, reason: "none" };
    expect((await limited.grant?.(grant))?.isNew).toBe(true);
    const query = { limit: 10, retryMs: { first: 60_000, max: 60_000 } };
    await expect(limited.notices?.("default", query)).rejects.toThrow("permission denied");
    await store.db.execute(sql`grant update on usage_marks to limited`);
    const told = { ...mark, mark: "90%", notice: { channel: "default", body: "told" } };
    expect(await limited.claim?.([told])).toEqual([told]);
    const notices = (await limited.notices?.("default", query)) ?? [];
    expect(notices).toMatchObject([{ body: "told" }]);
    await limited.acknowledge?.(notices);
    await limited.remove("backend-0");
    expect(await storedRequests(limited)).toBe(0);
    expect(await limited.grants?.()).toEqual([]);
    expect(await limited.claim?.([mark])).toEqual([mark]);
    await limited.close();
  });
});

/** A connection to the old server may still have to notice that it died; none may be waited for as long as a time-out. */
async function mergesSoon(store: UsageStore, tallies: readonly Tally[]): Promise<void> {
  const outcome = () => store.merge(tallies).catch((reason: unknown) => reason);
  await expect.poll(outcome, { timeout: 8_000 }).toEqual([]);
}

async function storedRows(client: postgres.Sql): Promise<number> {
  const [row] = await client`select count(*)::integer as count from usage_tallies`;
  return Number(row?.count);
}
