import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import SqliteDatabase from "better-sqlite3";
import type { FlushTarget, UsageRow } from "./flush-target.ts";

const UPSERT = `
  insert into usage_tallies (period, backend, dimension, writer, amount)
  values (@period, @backend, @dimension, @writer, @amount)
  on conflict (period, backend, dimension, writer) do update
  set amount = excluded.amount, updated_at = excluded.updated_at
  where excluded.amount > usage_tallies.amount`;

/** A file of its own, with one connection for the store and one, set up in the same way, for the peers. */
export async function openSqliteTarget(): Promise<FlushTarget> {
  const folder = await mkdtemp(join(tmpdir(), "usage-bench-"));
  const file = join(folder, "usage.db");
  const store = await openSqliteStore(file);
  const timed = await openSqliteStore(file, { timeline: true });
  const db = new SqliteDatabase(file, { timeout: 1_000 });
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  const upsert = db.prepare<UsageRow>(UPSERT);
  const upsertRows = db.transaction((rows: readonly UsageRow[]) => {
    for (const row of rows) upsert.run(row);
  });
  return {
    store,
    timed,
    async upsertAll(rows) {
      upsertRows.immediate(rows);
    },
    async upsertBackend(rows) {
      upsertRows.immediate(rows);
    },
    async age() {
      db.exec("update usage_tallies set updated_at = updated_at - 3600000");
      db.pragma("wal_checkpoint(truncate)");
    },
    async clear() {
      db.exec("delete from usage_tallies; delete from usage_timeline");
      db.pragma("wal_checkpoint(truncate)");
    },
    async close() {
      db.close();
      await timed.close();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
