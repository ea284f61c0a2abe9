import { and, eq } from "drizzle-orm";
import type { StoreConfig } from "../config/proxy-config.ts";
import { type OpenedStore, StoreStartError, trusting } from "../counting/open-store.ts";

/** A row of the table `usage_tallies`, by its key, and what it is to hold. */
export interface Row {
  readonly period: string;
  readonly backend: string;
  readonly dimension: string;
  readonly writer: string;
  /** 0 removes it. */
  readonly amount: number;
}

export interface CorrectableStore {
  readonly store: OpenedStore;
  /** Sets a row, also to less than it holds, which no merge ever does: while nobody counts. */
  correct(row: Row): Promise<void>;
}

/** @throws StoreStartError */
export async function openCorrectableStore(config: StoreConfig): Promise<CorrectableStore> {
  try {
    return await open(config);
  } catch (error) {
    throw new StoreStartError(config, error);
  }
}

async function open(config: StoreConfig): Promise<CorrectableStore> {
  // Imported only where it is configured: nobody else needs the driver.
  switch (config.kind) {
    case "sqlite": {
      const { openSqliteStore } = await import("@usage/store-drizzle/sqlite");
      const { usageTallies: table } = await import("@usage/store-drizzle/sqlite/schema");
      const store = await openSqliteStore(config.file);
      return {
        store,
        async correct({ period, backend, dimension, writer, amount }) {
          const ofBackend = and(eq(table.period, period), eq(table.backend, backend));
          const where = and(ofBackend, eq(table.dimension, dimension), eq(table.writer, writer));
          if (amount === 0) store.db.delete(table).where(where).run();
          else store.db.update(table).set({ amount, updatedAt: new Date() }).where(where).run();
        },
      };
    }
    case "postgres": {
      const { openPostgresStore } = await import("@usage/store-drizzle/postgres");
      const { usageTallies: table } = await import("@usage/store-drizzle/postgres/schema");
      const store = await openPostgresStore(trusting(config));
      return {
        store,
        async correct({ period, backend, dimension, writer, amount }) {
          const ofBackend = and(eq(table.period, period), eq(table.backend, backend));
          const where = and(ofBackend, eq(table.dimension, dimension), eq(table.writer, writer));
          if (amount === 0) await store.db.delete(table).where(where);
          else await store.db.update(table).set({ amount, updatedAt: new Date() }).where(where);
        },
      };
    }
  }
}
