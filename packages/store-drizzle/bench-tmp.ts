import { rmSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { startPostgres } from "@usage/test-servers";
import { sql } from "drizzle-orm";

const P = "2026-01";
const many = (n: number, w = "w", a = 1) =>
  Array.from({ length: n }, (_, i) => ({
    writer: w,
    period: P,
    backend: `tenant-${i}`,
    usage: { apiRequests: a, egressBytes: a, ingressBytes: a },
  }));
async function run(name: string, store: any, age: () => Promise<void>) {
  let t = performance.now();
  await store.merge(many(100_000));
  console.log(name, "fill", (performance.now() - t).toFixed(0));
  t = performance.now();
  let { cursor, usage } = await store.totals(P, "w");
  console.log(name, "full", (performance.now() - t).toFixed(0), usage.size);
  t = performance.now();
  const names = [...usage.keys()];
  const r = await store.totals(P, "w", { backends: names });
  console.log(name, "by 100k names", (performance.now() - t).toFixed(0), r.usage.size);
  t = performance.now();
  const c = await store.totals(P, "w", { since: cursor });
  console.log(name, "since right after fill", (performance.now() - t).toFixed(0), c.usage.size);
  await age();
  ({ cursor } = await store.totals(P, "w", { backends: [] }));
  const times: number[] = [],
    reads: number[] = [];
  for (let k = 2; k < 102; k++) {
    const tallies = Array.from({ length: 10 }, (_, i) => ({
      writer: "w",
      period: P,
      backend: `tenant-${(i * 9973 + k * 37) % 100000}`,
      usage: { apiRequests: k, egressBytes: k, ingressBytes: k },
    }));
    if (name === "postgres") { await age(); ({ cursor } = await store.totals(P, "w", { backends: [] })); }
    t = performance.now();
    await store.merge(tallies);
    const m = performance.now();
    const got = await store.totals(P, "w", { since: cursor });
    cursor = got.cursor;
    times.push(performance.now() - t);
    reads.push(performance.now() - m);
    if (k === 2 || k === 101) console.log(name, "read", got.usage.size);
  }
  times.sort((a, b) => a - b);
  reads.sort((a, b) => a - b);
  console.log(
    name,
    "flush of 10: median",
    times[50].toFixed(1),
    "p95",
    times[95].toFixed(1),
    "max",
    times[99].toFixed(1),
    "reads median",
    reads[50].toFixed(1),
  );
}
rmSync("/tmp/store-bench/u.db", { force: true });
const s = await openSqliteStore("/tmp/store-bench/u.db");
await run("sqlite", s, async () => {
  await new Promise((r) => setTimeout(r, 5));
});
await s.close();
const server = await startPostgres();
const p = await openPostgresStore(server.url);
await run("postgres", p, async () => {
  await p.db.execute(sql`update usage_tallies set updated_at = updated_at - interval '10 minutes'`);
  await p.db.execute(sql`vacuum analyze usage_tallies`);
});
console.log(
  (
    await p.db.execute(
      sql.raw(
        `explain analyze select distinct backend from usage_tallies where period='2026-01' and updated_at >= now() - interval '1 minute'`,
      ),
    )
  )
    .map((r: any) => r["QUERY PLAN"])
    .join("\n"),
);
await p.close();
await server.stop();
