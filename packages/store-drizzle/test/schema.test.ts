import { migrate as migratePostgres, openPostgresStore } from "@usage/store-drizzle/postgres";
import * as postgresSchema from "@usage/store-drizzle/postgres/schema";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import * as sqliteSchema from "@usage/store-drizzle/sqlite/schema";
import { sql } from "drizzle-orm";
import { getTableConfig as postgresConfig } from "drizzle-orm/pg-core";
import { getTableConfig as sqliteConfig } from "drizzle-orm/sqlite-core";
import { describe, expect, it } from "vitest";
import { freshSchema } from "./support/schema.ts";

type Column = { readonly name: string; readonly notNull: boolean; readonly primary: number; getSQLType(): string };

function described(columns: readonly Omit<Column, "primary">[], keys: readonly { columns: { name: string }[] }[]) {
  const key = keys.flatMap((one) => one.columns.map((column) => column.name));
  return columns.map((column) => ({
    name: column.name,
    type: column.getSQLType(),
    notNull: column.notNull,
    primary: key.indexOf(column.name) + 1,
  }));
}

describe("the exported drizzle schema", () => {
  it("is the table that the SQLite migration makes", async () => {
    await using store = await openSqliteStore(":memory:");
    const found = store.db.all(sql`select name, lower(type) as type, "notnull" = 1 as "notNull", pk as "primary"
      from pragma_table_info('usage_tallies')`);
    const { columns, primaryKeys } = sqliteConfig(sqliteSchema.usageTallies);
    const expected = described(columns, primaryKeys).map((column) => ({ ...column, notNull: Number(column.notNull) }));
    expect(found).toEqual(expected);
    expect(store.db.all(sql`select strict, wr from pragma_table_list('usage_tallies')`)).toEqual([
      { strict: 1, wr: 1 },
    ]);
  });

  it("is the table that the Postgres migration makes, which is migrated once", async () => {
    const schema = await freshSchema();
    const store = await openPostgresStore(schema.url);
    await migratePostgres(store.db);
    const found = await store.db.execute(sql`
      select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as "notNull",
        coalesce(array_position(indkey::smallint[], attnum), -1) + 1 as "primary"
      from pg_attribute join pg_index on indrelid = attrelid and indisprimary
      where attrelid = 'usage_tallies'::regclass and attnum > 0 order by attnum`);
    const { columns, primaryKeys } = postgresConfig(postgresSchema.usageTallies);
    expect([...found]).toEqual(described(columns, primaryKeys));
    const indexes = await store.db.execute(sql`
      select relname as name, amname as method from pg_index
      join pg_class on pg_class.oid = indexrelid join pg_am on pg_am.oid = relam
      where indrelid = 'usage_tallies'::regclass and not indisprimary`);
    const expected = postgresConfig(postgresSchema.usageTallies).indexes.map(({ config }) => config);
    expect(expected).not.toEqual([]);
    expect([...indexes]).toEqual(expected.map(({ name, method }) => ({ name, method })));
    await store.close();
    await schema.dispose();
  });
});
