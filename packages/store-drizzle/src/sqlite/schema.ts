import { sql } from "drizzle-orm";
import { integer, primaryKey, sqliteTable, sqliteView, text } from "drizzle-orm/sqlite-core";

/** One cumulative amount per period, backend, dimension and writer. */
export const usageTallies = sqliteTable(
  "usage_tallies",
  {
    period: text("period").notNull(),
    backend: text("backend").notNull(),
    dimension: text("dimension").notNull(),
    writer: text("writer").notNull(),
    amount: integer("amount").notNull(),
    /** When the amount last grew, by the clock of the machine that merged it. */
    updatedAt: integer("updated_at", { mode: "timestamp_ms" })
      .notNull()
      .default(sql`(cast(unixepoch('subsec') * 1000 as integer))`),
  },
  // Without the check of the migration: drizzle-kit 0.31 would take it for one of every table.
  (table) => [primaryKey({ columns: [table.period, table.backend, table.dimension, table.writer] })],
);

/** The tallies summed over writers, for reports; never above 2^53-1. */
export const usageTotals = sqliteView("usage_totals", {
  period: text("period").notNull(),
  backend: text("backend").notNull(),
  dimension: text("dimension").notNull(),
  amount: integer("amount").notNull(),
}).as(
  sql`select period, backend, dimension, cast(min(total(amount), 9007199254740991) as integer) as amount from usage_tallies group by period, backend, dimension`,
);
