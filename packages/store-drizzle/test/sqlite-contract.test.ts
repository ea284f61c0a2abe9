import { join } from "node:path";
import { usageStoreContract } from "@usage/counter-core/testing";
import { migrate, openSqliteStore, sqliteUsageStore } from "@usage/store-drizzle/sqlite";
import SqliteDatabase from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { freshFolder } from "./support/folder.ts";

usageStoreContract("openSqliteStore", {
  async create() {
    const folder = await freshFolder();
    const path = join(folder.path, "usage.db");
    let store = await openSqliteStore(path, { timeline: true });
    return {
      store,
      async reopen() {
        await store.close();
        store = await openSqliteStore(path, { timeline: true });
        return store;
      },
      async dispose() {
        await store.close();
        await folder.dispose();
      },
    };
  },
});

usageStoreContract("sqliteUsageStore on one's own database", {
  async create() {
    const client = new SqliteDatabase(":memory:");
    const db = drizzle(client);
    await migrate(db);
    return { store: sqliteUsageStore(db), dispose: async () => void client.close() };
  },
});
