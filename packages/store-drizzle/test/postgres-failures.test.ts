import { inspect } from "node:util";
import {
  migrate,
  openPostgresStore,
  postgresUsageStore,
  StoreError,
  StoreOpenError,
  StoreTimeoutError,
  TallyRefusedError,
  usageTallies,
  usageTotals,
} from "@usage/store-drizzle/postgres";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type FreshSchema, freshSchema } from "./support/schema.ts";
import { manyTallies, PERIOD, storedRequests, tally, turnsDuring } from "./support/tallies.ts";

describe("a store on Postgres", () => {
  let schema: FreshSchema;
  let store: Awaited<ReturnType<typeof openPostgresStore>>;

  beforeEach(async () => {
    schema = await freshSchema();
    store = await openPostgresStore(schema.url);
  });
  afterEach(async () => {
    await store.close();
    await schema.dispose();
  });

  it("says that the table is gone, and stores everything once it is there again", async () => {
    await store.merge(manyTallies(10));
    const merging = store.merge(manyTallies(5_000)).catch((reason: unknown) => reason);
    await store.db.execute(sql`drop view usage_totals`);
    await store.db.execute(sql`drop table usage_tallies`);
    const error = await merging;
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ driverCode: "42P01", message: expect.stringContaining("migrate(db)") });
    await migrate(store.db);
    await store.merge(manyTallies(5_000));
    expect(await storedRequests(store)).toBe(5_000);
  });

  it("rejects the tallies that a constraint or a trigger of the user's own refuses, and stores the others", async () => {
    await store.db.execute(sql`alter table usage_tallies add constraint small check (amount < 10)`);
    await store.db.execute(sql`create function refuse() returns trigger language plpgsql as
      $$ begin if new.backend = 'backend-7' then raise exception 'not that one'; end if; return new; end $$`);
    await store.db.execute(
      sql`create trigger refuse before insert on usage_tallies for each row execute function refuse()`,
    );
    const large = tally("w", "large", { apiRequests: 10 });
    const rejected = await store.merge([...manyTallies(1_000), large]);
    expect(new Set(rejected.map((one) => one.tally.backend))).toEqual(new Set(["large", "backend-7"]));
    for (const { reason } of rejected) expect(reason).toBeInstanceOf(TallyRefusedError);
    expect(await storedRequests(store)).toBe(999);
  });

  it("stores everything after its connections were cut in the middle of a merge", async () => {
    const admin = postgres(schema.url, { max: 1 });
    const tallies = manyTallies(20_000);
    const merging = store.merge(tallies).catch((reason: unknown) => reason);
    await expect.poll(() => storedIn(admin), { timeout: 20_000, interval: 5 }).toBeGreaterThan(0);
    await admin`select pg_terminate_backend(pid) from pg_stat_activity
      where pid <> pg_backend_pid() and application_name = ${schema.name}`;
    expect(await merging).toBeInstanceOf(StoreError);
    await admin.end();
    await store.merge(tallies);
    expect(await storedRequests(store)).toBe(20_000);
  });

  it("does not even lock the rows where nothing grew", async () => {
    await store.merge(manyTallies(100, "w", 5));
    const rows = () =>
      store.db.execute(sql`select ctid::text, xmin::text, xmax::text, * from usage_tallies order by backend`);
    const before = [...(await rows())];
    await store.merge([...manyTallies(100, "w", 5), ...manyTallies(100, "w", 4)]);
    expect([...(await rows())]).toEqual(before);
  });

  it("cannot deadlock with another instance that writes the same rows in another order", async () => {
    const other = await openPostgresStore(schema.url);
    for (let amount = 1; amount <= 10; amount++) {
      const tallies = Array.from({ length: 300 }, (_, index) => tally(`w${index}`, "oci", { apiRequests: amount }));
      await Promise.all([store.merge(tallies), other.merge([...tallies].reverse())]);
    }
    await other.close();
    expect(await storedRequests(store)).toBe(3_000);
  });

  it("migrates once when eight instances start at once", async () => {
    const empty = await freshSchema();
    const stores = await Promise.all(Array.from({ length: 8 }, () => openPostgresStore(empty.url)));
    await Promise.all(stores.map((one, index) => one.merge(manyTallies(10, `w${index}`))));
    const [first] = stores;
    expect(first && (await storedRequests(first))).toBe(80);
    await Promise.all(stores.map((one) => one.close()));
    await empty.dispose();
  });

  it("orders names by their bytes whatever collation the columns have", async () => {
    await store.db.execute(sql`drop view usage_totals`);
    for (const column of ["period", "backend", "dimension", "writer"]) {
      await store.db.execute(sql.raw(`alter table usage_tallies alter ${column} type text collate "en-x-icu"`));
    }
    const backends = ["b", "B", "a", "_", "A", "ab", "a b"];
    await store.merge(backends.map((backend) => tally("w", backend, { apiRequests: 1 })));
    expect((await store.history({ from: "2026", to: "2027" })).map((one) => one.backend)).toEqual([...backends].sort());
    await store.merge(["x-A", "x-_", "x-a"].map((period) => ({ ...tally("w", "oci", { apiRequests: 1 }), period })));
    expect((await store.history({ from: "x-B", to: "x-a" })).map((one) => one.period)).toEqual(["x-_", "x-a"]);
  });

  it("lets the event loop turn while it reads and merges", async () => {
    expect(await turnsDuring(store.merge(manyTallies(5_000)))).toBeGreaterThan(15);
    expect(await turnsDuring(store.totals(PERIOD, "w"))).toBeGreaterThan(10);
  });

  it("gives up on a statement that does not come back, and leaves nothing behind that would harm", async () => {
    const client = postgres(schema.url, { max: 2 });
    const impatient = postgresUsageStore(drizzle(client), { timeoutMs: 100 });
    const released = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const holding = store.db.transaction(async (transaction) => {
      await transaction.execute(sql`lock table usage_tallies in exclusive mode`);
      locked.resolve();
      await released.promise;
    });
    await locked.promise;
    await expect(impatient.merge(manyTallies(1))).rejects.toThrow(StoreTimeoutError);
    released.resolve();
    await holding;
    await expect.poll(() => storedRequests(store)).toBe(1);
    await client.end();
  });

  it("limits each statement on the server, too", async () => {
    const strict = await openPostgresStore(schema.url, { timeoutMs: 5_000 });
    const [row] = await strict.db.execute(sql`show statement_timeout`);
    expect(row).toEqual({ statement_timeout: "5s" });
    await strict.close();
  });

  it("shows the totals in a view that never passes 2^53-1", async () => {
    const max = Number.MAX_SAFE_INTEGER;
    await store.merge(["u", "v", "w"].map((writer) => tally(writer, "oci", { apiRequests: max, egressBytes: 2 })));
    expect(await store.db.select().from(usageTotals).orderBy(usageTotals.dimension)).toEqual([
      { period: PERIOD, backend: "oci", dimension: "apiRequests", amount: max },
      { period: PERIOD, backend: "oci", dimension: "egressBytes", amount: 6 },
    ]);
  });

  it("says when an amount last grew", async () => {
    await store.merge([tally("w", "oci", { apiRequests: 1 })]);
    await store.db.update(usageTallies).set({ updatedAt: new Date(0) });
    await store.merge([tally("w", "oci", { apiRequests: 2 })]);
    const [row] = await store.db.select().from(usageTallies);
    expect(Math.abs(Date.now() - Number(row?.updatedAt))).toBeLessThan(3_600_000);
  });

  it("never shows a password", async () => {
    for (const url of ["postgres://me:s3cret@127.0.0.1:1/x", "postgres://me:s3cret@:bad:/x", "not a url s3cret"]) {
      const error = await openPostgresStore(url, { timeoutMs: 2_000 }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Error);
      expect(inspectAll(error)).not.toContain("s3cret");
    }
    await expect(openPostgresStore("postgres://me@:bad:/x")).rejects.toThrow(StoreOpenError);
  });

  it("never shows the parameters of a statement", async () => {
    await store.db.execute(sql`drop table usage_tallies cascade`);
    const error = await store.merge([tally("w", "s3cret", { apiRequests: 1 })]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreError);
    expect(inspectAll(error)).not.toContain("s3cret");
  });

  it.each([0, -1, 0.5, Number.NaN, 2 ** 31])("refuses timeoutMs %s", (timeoutMs) => {
    expect(() => postgresUsageStore(store.db, { timeoutMs })).toThrow(`got ${timeoutMs}`);
  });
});

async function storedIn(client: postgres.Sql): Promise<number> {
  const [row] = await client`select count(*)::integer as count from usage_tallies`;
  return Number(row?.count);
}

function inspectAll(error: unknown): string {
  return inspect(error, { depth: 10 });
}
