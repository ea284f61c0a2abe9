import { usageStoreContract } from "@usage/counter-core/testing";
import { migrate, openPostgresStore, postgresUsageStore } from "@usage/store-drizzle/postgres";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { freshSchema } from "./support/schema.ts";

usageStoreContract("openPostgresStore", {
  async create() {
    const schema = await freshSchema();
    let store = await openPostgresStore(schema.url, { timeline: true });
    return {
      store,
      async reopen() {
        await store.close();
        store = await openPostgresStore(schema.url, { timeline: true });
        return store;
      },
      async dispose() {
        await store.close();
        await schema.dispose();
      },
    };
  },
});

usageStoreContract("postgresUsageStore on one's own database", {
  async create() {
    const schema = await freshSchema();
    const client = postgres(schema.url);
    const db = drizzle(client);
    await migrate(db);
    return {
      store: postgresUsageStore(db),
      async dispose() {
        await client.end();
        await schema.dispose();
      },
    };
  },
});
