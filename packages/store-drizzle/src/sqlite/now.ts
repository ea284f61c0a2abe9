import { type SQL, sql } from "drizzle-orm";

/** The time by SQLite's clock, in milliseconds since the Unix epoch. */
export const NOW: SQL = sql`cast(unixepoch('subsec') * 1000 as integer)`;
