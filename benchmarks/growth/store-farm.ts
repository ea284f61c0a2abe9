import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UsageStore } from "@usage/counter-core";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { startPostgres } from "@usage/test-servers";
import { sql } from "drizzle-orm";

/** Several stores beside each other, each with a file or database of its own. */
export interface StoreFarm {
  open(name: string): Promise<OneStore>;
  close(): Promise<void>;
}

export interface OneStore {
  readonly store: UsageStore;
  /** Waits for no disk, until it is told to calm down: a year of flushes would take long, and leaves the same behind. */
  hurry(): void;
  calmDown(): Promise<void>;
  size(): Promise<{ readonly rows: number; readonly bytes: number }>;
}

export async function openSqliteFarm(): Promise<StoreFarm> {
  const folder = await mkdtemp(join(tmpdir(), "usage-bench-"));
  const opened = new AsyncDisposableStack();
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  return {
    async open(name) {
      const store = opened.use(await openSqliteStore(join(folder, `${name}.db`)));
      return {
        store,
        hurry: () => void store.db.run(sql`pragma synchronous = off`),
        async calmDown() {
          store.db.run(sql`pragma synchronous = full`);
        },
        async size() {
          const rows = store.db.get<{ n: number }>(sql`select count(*) as n from usage_tallies`);
          const size = store.db.get<{ bytes: number }>(
            sql`select page_count * page_size as bytes from pragma_page_count, pragma_page_size`,
          );
          return { rows: rows?.n ?? 0, bytes: size?.bytes ?? 0 };
        },
      };
    },
    close: () => opened.disposeAsync(),
  };
}

export async function openPostgresFarm(): Promise<StoreFarm> {
  const server = await startPostgres();
  const opened = new AsyncDisposableStack();
  opened.defer(() => server.stop());
  const admin = opened.use(await openPostgresStore(server.url));
  return {
    async open(name) {
      await admin.db.execute(sql.raw(`create database "grown-${name}"`));
      const store = opened.use(await openPostgresStore(server.url.replace(/[^/]*$/, `grown-${name}`)));
      return {
        store,
        // The server runs with `fsync` off.
        hurry() {},
        // In a year, autovacuum has had its minute.
        async calmDown() {
          await store.db.execute(sql`vacuum analyze usage_tallies`);
        },
        async size() {
          const [row] = await store.db.execute<{ rows: string; bytes: string }>(
            sql`select count(*) as rows, pg_total_relation_size('usage_tallies') as bytes from usage_tallies`,
          );
          return { rows: Number(row?.rows), bytes: Number(row?.bytes) };
        },
      };
    },
    close: () => opened.disposeAsync(),
  };
}
