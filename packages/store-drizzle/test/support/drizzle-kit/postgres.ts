import { integer, pgTable } from "drizzle-orm/pg-core";

export {
  usageChanges,
  usageFolds,
  usageGrants,
  usageInstances,
  usageMarks,
  usageTallies,
  usageTimeline,
  usageTotals,
} from "@usage/store-drizzle/postgres/schema";

/** A table of the user's own, which is to be made beside them. */
export const mine = pgTable("mine", { id: integer("id").notNull() });
