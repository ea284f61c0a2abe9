import { integer, sqliteTable } from "drizzle-orm/sqlite-core";

export {
  usageChanges,
  usageFolds,
  usageGrants,
  usageInstances,
  usageMarks,
  usageTallies,
  usageTimeline,
  usageTotals,
} from "@usage/store-drizzle/sqlite/schema";

/** A table of the user's own, which is to be made beside them. */
export const mine = sqliteTable("mine", { id: integer("id").notNull() });
