import { sql } from "drizzle-orm";
import { bigint, check, index, pgTable, pgView, primaryKey, text, timestamp } from "drizzle-orm/pg-core";

/** One cumulative amount per period, backend, dimension and writer. */
export const usageTallies = pgTable(
  "usage_tallies",
  {
    period: text("period").notNull(),
    backend: text("backend").notNull(),
    dimension: text("dimension").notNull(),
    writer: text("writer").notNull(),
    amount: bigint("amount", { mode: "number" }).notNull(),
    /** When the amount last grew, by the database's clock. */
    updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    // As Postgres names it in the migration.
    primaryKey({ name: "usage_tallies_pkey", columns: [table.period, table.backend, table.dimension, table.writer] }),
    check("usage_tallies_amount", sql`${table.amount} >= 0`),
    // Rows come period by period: which pages hold one takes some kilobytes to tell. The option is text, as the migration has it:
    // drizzle-kit would take `true` for another one, and make the index anew at every push.
    index("usage_tallies_period").using("brin", table.period).with({ autosummarize: "on" }),
  ],
);

/** The tallies summed over writers, for reports; never above 2^53-1. */
export const usageTotals = pgView("usage_totals", {
  period: text("period").notNull(),
  backend: text("backend").notNull(),
  dimension: text("dimension").notNull(),
  amount: bigint("amount", { mode: "number" }).notNull(),
}).as(
  sql`select period, backend, dimension, least(sum(amount), 9007199254740991)::bigint as amount from usage_tallies group by period, backend, dimension`,
);
