import { migrate as migratePostgres, openPostgresStore } from "@usage/store-drizzle/postgres";
import * as postgresSchema from "@usage/store-drizzle/postgres/schema";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import * as sqliteSchema from "@usage/store-drizzle/sqlite/schema";
import { sql } from "drizzle-orm";
import { getTableConfig as postgresConfig } from "drizzle-orm/pg-core";
import { getTableConfig as sqliteConfig } from "drizzle-orm/sqlite-core";
import { describe, expect, it } from "vitest";
import { freshSchema } from "./support/schema.ts";

type Column = { readonly name: string; readonly notNull: boolean; readonly primary: boolean; getSQLType(): string };

function described(columns: readonly Column[], keys: readonly { columns: { name: string }[] }[]) {
  const key = keys.flatMap((one) => one.columns.map((column) => column.name));
  return columns.map((column) => ({
    name: column.name,
    type: column.getSQLType(),
    notNull: column.notNull,
    primary: column.primary ? 1 : key.indexOf(column.name) + 1,
  }));
}

describe("the exported drizzle schema", () => {
  it.each([
    ["usage_tallies", sqliteSchema.usageTallies],
    ["usage_marks", sqliteSchema.usageMarks],
    ["usage_grants", sqliteSchema.usageGrants],
    ["usage_timeline", sqliteSchema.usageTimeline],
    ["usage_instances", sqliteSchema.usageInstances],
    ["usage_changes", sqliteSchema.usageChanges],
  ])("is the table %s that the SQLite migration makes", async (name, table) => {
    await using store = await openSqliteStore(":memory:");
    const found = store.db.all(sql`select name, lower(type) as type, "notnull" = 1 as "notNull", pk as "primary"
      from pragma_table_info(${name})`);
    const { columns, primaryKeys } = sqliteConfig(table);
    const expected = described(columns, primaryKeys).map((column) => ({ ...column, notNull: Number(column.notNull) }));
    expect(found).toEqual(expected);
    expect(store.db.all(sql`select strict, wr from pragma_table_list(${name})`)).toEqual([{ strict: 1, wr: 1 }]);
  });

  it.each([
    ["usage_tallies", postgresSchema.usageTallies],
    ["usage_marks", postgresSchema.usageMarks],
    ["usage_grants", postgresSchema.usageGrants],
    ["usage_timeline", postgresSchema.usageTimeline],
    ["usage_instances", postgresSchema.usageInstances],
    ["usage_changes", postgresSchema.usageChanges],
  ])("is the table %s that the Postgres migration makes, which is migrated once", async (name, table) => {
    const schema = await freshSchema();
    const store = await openPostgresStore(schema.url);
    await migratePostgres(store.db);
    const found = await store.db.execute(sql`
      select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as "notNull",
        coalesce(array_position(indkey::smallint[], attnum), -1) + 1 as "primary"
      from pg_attribute join pg_index on indrelid = attrelid and indisprimary
      where attrelid = ${name}::regclass and attnum > 0 order by attnum`);
    const { columns, primaryKeys } = postgresConfig(table);
    expect([...found]).toEqual(described(columns, primaryKeys));
    const indexes = await store.db.execute(sql`
      select relname as name, amname as method from pg_index
      join pg_class on pg_class.oid = indexrelid join pg_am on pg_am.oid = relam
      where indrelid = ${name}::regclass and not indisprimary`);
    const expected = postgresConfig(table).indexes.map(({ config }) => config);
    expect([...indexes]).toEqual(expected.map(({ name, method }) => ({ name, method })));
    await store.close();
    await schema.dispose();
  });
});
