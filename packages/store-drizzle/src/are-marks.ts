import type { MarkRow } from "@usage/counter-core/internal";
import { type Column, type SQL, sql } from "drizzle-orm";

/** The condition that a row is one of these marks, in both dialects. */
export function areMarks(key: Readonly<Record<keyof Key, Column>>, marks: readonly MarkRow[]): SQL {
  const values = marks.map(
    ({ backend, period, dimension, mark }) => sql`(${backend}, ${period}, ${dimension}, ${mark})`,
  );
  return sql`(${key.backend}, ${key.period}, ${key.dimension}, ${key.mark}) in (values ${sql.join(values, sql`, `)})`;
}

type Key = Pick<MarkRow, "backend" | "period" | "dimension" | "mark">;
