import { and, eq } from "drizzle-orm";
import type { StoreConfig } from "../config/proxy-config.ts";
import { type OpenedStore, StoreStartError, trusting } from "../counting/open-store.ts";
import { lessenedHours } from "./lessened-hours.ts";

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
  /**
   * Sets a row, also to less than it holds, which no merge ever does: while nobody counts. What the backend's hours have too much then is taken
   * from the latest of them.
   */
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
      const { usageTallies: table, usageTimeline: timeline } = await import("@usage/store-drizzle/sqlite/schema");
      const store = await openSqliteStore(config.file, { timeline: true });
      return {
        store,
        async correct({ period, backend, dimension, writer, amount }) {
          const ofBackend = and(eq(table.period, period), eq(table.backend, backend), eq(table.dimension, dimension));
          const where = and(ofBackend, eq(table.writer, writer));
          const ofHours = and(eq(timeline.period, period), eq(timeline.backend, backend));
          const ofDimension = and(ofHours, eq(timeline.dimension, dimension));
          const work = (db: Pick<typeof store.db, "select" | "update" | "delete">): void => {
            if (amount === 0) db.delete(table).where(where).run();
            else db.update(table).set({ amount, updatedAt: new Date() }).where(where).run();
            const left = db.select({ amount: table.amount }).from(table).where(ofBackend).all();
            const hours = db.select().from(timeline).where(ofDimension).all();
            for (const { hour, amount } of lessenedHours(hours, sumOf(left))) {
              db.update(timeline)
                .set({ amount })
                .where(and(ofDimension, eq(timeline.hour, hour)))
                .run();
            }
          };
          store.db.transaction(work, { behavior: "immediate" });
        },
      };
    }
    case "postgres": {
      const { openPostgresStore } = await import("@usage/store-drizzle/postgres");
      const { usageTallies: table, usageTimeline: timeline } = await import("@usage/store-drizzle/postgres/schema");
      const store = await openPostgresStore(trusting(config), { timeline: true });
      return {
        store,
        async correct({ period, backend, dimension, writer, amount }) {
          const ofBackend = and(eq(table.period, period), eq(table.backend, backend), eq(table.dimension, dimension));
          const where = and(ofBackend, eq(table.writer, writer));
          const ofHours = and(eq(timeline.period, period), eq(timeline.backend, backend));
          const ofDimension = and(ofHours, eq(timeline.dimension, dimension));
          await store.db.transaction(async (db) => {
            if (amount === 0) await db.delete(table).where(where);
            else await db.update(table).set({ amount, updatedAt: new Date() }).where(where);
            const left = await db.select({ amount: table.amount }).from(table).where(ofBackend);
            const hours = await db.select().from(timeline).where(ofDimension);
            for (const { hour, amount } of lessenedHours(hours, sumOf(left))) {
              await db
                .update(timeline)
                .set({ amount })
                .where(and(ofDimension, eq(timeline.hour, hour)));
            }
          });
        },
      };
    }
  }
}

function sumOf(rows: readonly { readonly amount: number }[]): number {
  return rows.reduce((sum, { amount }) => sum + amount, 0);
}
