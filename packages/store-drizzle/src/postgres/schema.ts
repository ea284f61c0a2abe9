import { sql } from "drizzle-orm";
import {
  bigint,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  pgView,
  primaryKey,
  text,
  timestamp,
} from "drizzle-orm/pg-core";
import { assertPrefix, DEFAULT_PREFIX } from "../table-prefix.ts";

/**
 * The tables of a store whose names begin with `prefix`, and its view, for drizzle-kit and for queries of your own.
 *
 * @throws RangeError when the prefix is none.
 */
export function usageTables<const P extends string>(prefix: P) {
  assertPrefix(prefix);
  /** One cumulative amount per period, backend, dimension and writer. The writer of a folded row is the empty text. */
  const tallies = pgTable(
    `${prefix}tallies`,
    {
      period: text("period").notNull(),
      backend: text("backend").notNull(),
      dimension: text("dimension").notNull(),
      writer: text("writer").notNull(),
      amount: bigint("amount", { mode: "number" }).notNull(),
      /** When the amount last grew, by the database's clock; never less than what the period had before. */
      updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(),
      /** By how much it grew when it last grew where a timeline is kept; null where none was. */
      grown: bigint("grown", { mode: "number" }),
    },
    (table) => [
      // As Postgres names it in the migration.
      primaryKey({
        name: `${prefix}tallies_pkey`,
        columns: [table.period, table.backend, table.dimension, table.writer],
      }),
      check(`${prefix}tallies_amount`, sql`${table.amount} >= 0`),
      // Rows come period by period: which pages hold one takes some kilobytes to tell. The option is text, as the migration has it:
      // drizzle-kit would take `true` for another one, and make the index anew at every push.
      index(`${prefix}tallies_period`).using("brin", table.period).with({ autosummarize: "on" }),
      index(`${prefix}tallies_changed`).on(table.period, table.updatedAt),
    ],
  );
  /** The periods that take no tallies any more. */
  const folds = pgTable(`${prefix}folds`, {
    period: text("period").notNull().primaryKey(),
    foldedAt: timestamp("folded_at", { withTimezone: true }).notNull().defaultNow(),
  });
  /** What was claimed, once, and the outbox. The backend or the dimension of a mark that is of none is the empty text. */
  const marks = pgTable(
    `${prefix}marks`,
    {
      backend: text("backend").notNull(),
      period: text("period").notNull(),
      dimension: text("dimension").notNull(),
      mark: text("mark").notNull(),
      createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
      /** Who delivers its notice, where it has one. */
      channel: text("channel"),
      body: text("body"),
      /** How often somebody has taken the notice, to deliver it. */
      attempts: integer("attempts").notNull().default(0),
      /** When the notice may be taken next; null where there is none, or it is delivered. */
      dueAt: timestamp("due_at", { withTimezone: true }),
    },
    (table) => [
      primaryKey({
        name: `${prefix}marks_pkey`,
        columns: [table.backend, table.period, table.dimension, table.mark],
      }),
      index(`${prefix}marks_due`).on(table.channel, table.dueAt).where(sql`${table.dueAt} is not null`),
    ],
  );
  /** What was granted to backends for single periods, and its trail. */
  const grants = pgTable(
    `${prefix}grants`,
    {
      backend: text("backend").notNull(),
      period: text("period").notNull(),
      id: text("id").notNull(),
      /** By dimension. */
      amounts: jsonb("amounts").$type<Readonly<Record<string, number>>>().notNull(),
      reason: text("reason").notNull(),
      /** Null where nobody says. */
      grantedBy: text("granted_by"),
      createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
    },
    (table) => [
      primaryKey({ name: `${prefix}grants_pkey`, columns: [table.backend, table.period, table.id] }),
      index(`${prefix}grants_created`).on(table.period, table.createdAt),
    ],
  );
  /** Usage by hour over all writers, where a timeline is kept. An hour that is folded is part of the first one of its day. */
  const timeline = pgTable(
    `${prefix}timeline`,
    {
      period: text("period").notNull(),
      /** When it begins. */
      hour: timestamp("hour", { withTimezone: true }).notNull(),
      backend: text("backend").notNull(),
      dimension: text("dimension").notNull(),
      amount: bigint("amount", { mode: "number" }).notNull(),
    },
    (table) => [
      primaryKey({
        name: `${prefix}timeline_pkey`,
        columns: [table.period, table.hour, table.backend, table.dimension],
      }),
    ],
  );
  /** The runs of processes that count, as they say of themselves. */
  const instances = pgTable(`${prefix}instances`, {
    /** The name under which it counts. */
    id: text("id").notNull().primaryKey(),
    startedAt: timestamp("started_at", { withTimezone: true }).notNull(),
    /** Null while it runs, and for ever where it was killed. */
    stoppedAt: timestamp("stopped_at", { withTimezone: true }),
    /** When it was last heard of. */
    seenAt: timestamp("seen_at", { withTimezone: true }).notNull().defaultNow(),
    labels: jsonb("labels").$type<Readonly<Record<string, string>>>().notNull(),
  });
  /** The settings that were changed while processes ran, and their trail. */
  const changes = pgTable(`${prefix}changes`, {
    /** One more with each change. */
    revision: bigint("revision", { mode: "number" }).notNull().primaryKey(),
    subject: text("subject").notNull(),
    setting: text("setting").notNull(),
    /** JSON; null: what it would be if nobody had changed it. */
    value: text("value"),
    /** JSON. */
    before: text("before"),
    /** Null where nobody says. */
    changedBy: text("changed_by"),
    reason: text("reason"),
    createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  });
  /** The tallies summed over writers, for reports; never above 2^53-1. */
  const totals = pgView(`${prefix}totals`, {
    period: text("period").notNull(),
    backend: text("backend").notNull(),
    dimension: text("dimension").notNull(),
    amount: bigint("amount", { mode: "number" }).notNull(),
  }).as(
    sql.raw(
      `select period, backend, dimension, least(sum(amount), 9007199254740991)::bigint as amount from ${prefix}tallies group by period, backend, dimension`,
    ),
  );
  return { tallies, folds, marks, grants, timeline, instances, changes, totals };
}

export type PostgresTables = ReturnType<typeof usageTables<string>>;

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
