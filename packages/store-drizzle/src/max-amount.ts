import { type SQL, sql } from "drizzle-orm";

/** The largest amount and sum, 2^53-1, as SQL: the largest number that is exact on both sides. */
export const MAX_AMOUNT: SQL = sql.raw(String(Number.MAX_SAFE_INTEGER));
