import { type SQL, sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, sqliteView, text } from "drizzle-orm/sqlite-core";
import { assertPrefix, DEFAULT_PREFIX } from "../table-prefix.ts";

const now = (): SQL => sql`(cast(unixepoch('subsec') * 1000 as integer))`;

/**
 * The tables of a store whose names begin with `prefix`, and its view, for drizzle-kit and for queries of your own.
 *
 * @throws RangeError when the prefix is none.
 */
export function usageTables<const P extends string>(prefix: P) {
  assertPrefix(prefix);
  /** One cumulative amount per period, backend, dimension and writer. The writer of a folded row is the empty text. */
  const tallies = sqliteTable(
    `${prefix}tallies`,
    {
      period: text("period").notNull(),
      backend: text("backend").notNull(),
      dimension: text("dimension").notNull(),
      writer: text("writer").notNull(),
      amount: integer("amount").notNull(),
      /** When the amount last grew, by the clock of the machine that merged it; never less than what the period had before. */
      updatedAt: integer("updated_at", { mode: "timestamp_ms" }).notNull().default(now()),
    },
    // Without the check of the migration: drizzle-kit 0.31 would take it for one of every table.
    (table) => [
      primaryKey({ columns: [table.period, table.backend, table.dimension, table.writer] }),
      index(`${prefix}tallies_changed`).on(table.period, table.updatedAt, table.backend),
    ],
  );
  /** The periods that take no tallies any more. */
  const folds = sqliteTable(`${prefix}folds`, {
    period: text("period").notNull().primaryKey(),
    foldedAt: integer("folded_at", { mode: "timestamp_ms" }).notNull().default(now()),
  });
  /** What was claimed, once, and the outbox. The backend or the dimension of a mark that is of none is the empty text. */
  const marks = sqliteTable(
    `${prefix}marks`,
    {
      backend: text("backend").notNull(),
      period: text("period").notNull(),
      dimension: text("dimension").notNull(),
      mark: text("mark").notNull(),
      createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull().default(now()),
      /** Who delivers its notice, where it has one. */
      channel: text("channel"),
      body: text("body"),
      /** How often somebody has taken the notice, to deliver it. */
      attempts: integer("attempts").notNull().default(0),
      /** When the notice may be taken next; null where there is none, or it is delivered. */
      dueAt: integer("due_at", { mode: "timestamp_ms" }),
    },
    (table) => [
      primaryKey({ columns: [table.backend, table.period, table.dimension, table.mark] }),
      // Of all rows: drizzle-kit 0.31 does not read which rows an index has, and would make it anew at every push.
      index(`${prefix}marks_due`).on(table.channel, table.dueAt),
    ],
  );
  /** What was granted to backends for single periods, and its trail. */
  const grants = sqliteTable(
    `${prefix}grants`,
    {
      backend: text("backend").notNull(),
      period: text("period").notNull(),
      id: text("id").notNull(),
      /** By dimension. */
      amounts: text("amounts", { mode: "json" }).$type<Readonly<Record<string, number>>>().notNull(),
      reason: text("reason").notNull(),
      /** Null where nobody says. */
      grantedBy: text("granted_by"),
      createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull().default(now()),
    },
    (table) => [
      primaryKey({ columns: [table.backend, table.period, table.id] }),
      index(`${prefix}grants_created`).on(table.period, table.createdAt),
    ],
  );
  /** Usage by hour over all writers, where a timeline is kept. An hour that is folded is part of the first one of its day. */
  const timeline = sqliteTable(
    `${prefix}timeline`,
    {
      period: text("period").notNull(),
      /** When it begins. */
      hour: integer("hour", { mode: "timestamp_ms" }).notNull(),
      backend: text("backend").notNull(),
      dimension: text("dimension").notNull(),
      amount: integer("amount").notNull(),
    },
    (table) => [primaryKey({ columns: [table.period, table.hour, table.backend, table.dimension] })],
  );
  /** The runs of processes that count, as they say of themselves. */
  const instances = sqliteTable(`${prefix}instances`, {
    /** The name under which it counts. */
    id: text("id").notNull().primaryKey(),
    startedAt: integer("started_at", { mode: "timestamp_ms" }).notNull(),
    /** Null while it runs, and for ever where it was killed. */
    stoppedAt: integer("stopped_at", { mode: "timestamp_ms" }),
    /** When it was last heard of. */
    seenAt: integer("seen_at", { mode: "timestamp_ms" }).notNull().default(now()),
    labels: text("labels", { mode: "json" }).$type<Readonly<Record<string, string>>>().notNull(),
  });
  /** The settings that were changed while processes ran, and their trail. */
  const changes = sqliteTable(`${prefix}changes`, {
    /** One more with each change. */
    revision: integer("revision").notNull().primaryKey(),
    subject: text("subject").notNull(),
    setting: text("setting").notNull(),
    /** JSON; null: what it would be if nobody had changed it. */
    value: text("value"),
    /** JSON. */
    before: text("before"),
    /** Null where nobody says. */
    changedBy: text("changed_by"),
    reason: text("reason"),
    createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull().default(now()),
  });
  /** The tallies summed over writers, for reports; never above 2^53-1. */
  const totals = sqliteView(`${prefix}totals`, {
    period: text("period").notNull(),
    backend: text("backend").notNull(),
    dimension: text("dimension").notNull(),
    amount: integer("amount").notNull(),
  }).as(
    sql.raw(
      `select period, backend, dimension, cast(min(total(amount), 9007199254740991) as integer) as amount from ${prefix}tallies group by period, backend, dimension`,
    ),
  );
  return { tallies, folds, marks, grants, timeline, instances, changes, totals };
}

export type SqliteTables = ReturnType<typeof usageTables<string>>;

export const {
  tallies: usageTallies,
  folds: usageFolds,
  marks: usageMarks,
  grants: usageGrants,
  timeline: usageTimeline,
  instances: usageInstances,
  changes: usageChanges,
  totals: usageTotals,
} = usageTables(DEFAULT_PREFIX);
