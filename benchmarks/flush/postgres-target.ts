import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { startPostgres } from "@usage/test-servers";
import postgres from "postgres";
import type { FlushTarget, UsageRow } from "./flush-target.ts";

/** A server of its own, with the store's connections and a pool of the same driver for the peers. */
export async function openPostgresTarget(): Promise<FlushTarget> {
  const server = await startPostgres();
  const store = await openPostgresStore(server.url);
  const timed = await openPostgresStore(server.url, { timeline: true });
  const sql = postgres(server.url, { max: 2, onnotice: () => {} });
  async function upsertAll(rows: readonly UsageRow[]): Promise<void> {
    await sql`
      insert into usage_tallies as stored (period, backend, dimension, writer, amount)
      select * from unnest(${rows.map((row) => row.period)}::text[], ${rows.map((row) => row.backend)}::text[],
        ${rows.map((row) => row.dimension)}::text[], ${rows.map((row) => row.writer)}::text[],
        ${rows.map((row) => row.amount)}::bigint[])
      on conflict (period, backend, dimension, writer) do update
      set amount = excluded.amount, updated_at = excluded.updated_at
      where excluded.amount > stored.amount`;
  }
  return {
    store,
    timed,
    upsertAll,
    upsertBackend: upsertAll,
    async age() {
      await sql`update usage_tallies set updated_at = updated_at - interval '1 hour'`;
      await sql`vacuum analyze usage_tallies`;
    },
    async clear() {
      await sql`truncate usage_tallies, usage_timeline`;
    },
    async close() {
      await sql.end();
      await timed.close();
      await store.close();
      await server.stop();
    },
  };
}
