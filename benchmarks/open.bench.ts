import { answer, runChild } from "./child.ts";
import type { EnsureTimes, Servers } from "./open/time-ensure.ts";
import type { FewTimes } from "./open/time-few.ts";
import type { Section, Table } from "./report.ts";
import { ratios } from "./rounds.ts";

const METHOD = [
  `10,000 tenants that nobody has seen before come one after the other, each with an awaited \`tracker.ensure\`, and limits from a
function. *Bare* is one \`store.tallies\` for each, awaited: the read alone. The event loop's longest hold contains what other
processes take from this one, which bare's shows.`,
  `Ten of 100,000 backends have grown since the last flush: *flush* learns what others stored, and stores them; *bare* is one upsert
of the 30 rows, as in the section on flushes. Before, all that is stored is made an hour old: what was stored within the last minute
is read again, since it may have been committed late.`,
];

answer({
  title: "Tenants that come, and few that change",
  method: METHOD,
  tables: [
    await ensureTable("`ensure`, SQLite", "sqlite"),
    await ensureTable("`ensure`, Redis and Postgres", "redis"),
    await fewTable("Flush of ten changes among 100,000, SQLite", "sqlite"),
    await fewTable("Flush of ten changes among 100,000, Postgres", "postgres"),
  ],
} satisfies Section);

async function ensureTable(title: string, servers: Servers): Promise<Table> {
  const times = await runChild<EnsureTimes>("open/time-ensure.ts", { args: [servers] });
  return {
    title,
    rows: [
      { subject: "bare", unit: "ms", values: times.bareMs },
      {
        subject: "`ensure`",
        unit: "ms",
        values: times.tookMs,
        ratio: { to: "bare", values: ratios(times.tookMs, times.bareMs) },
        target: { of: "value", bound: "at most", value: 5_000 },
      },
      { subject: "event loop held, bare", unit: "ms", values: times.bareHeldMs },
      {
        subject: "event loop held, `ensure`",
        unit: "ms",
        values: times.heldMs,
        target: { of: "value", bound: "at most", value: 50 },
      },
    ],
  };
}

async function fewTable(title: string, database: "sqlite" | "postgres"): Promise<Table> {
  const { flush, bare } = await runChild<FewTimes>("open/time-few.ts", { args: [database] });
  return {
    title,
    rows: [
      { subject: "bare", unit: "ms", values: bare },
      {
        subject: "flush",
        unit: "ms",
        values: flush,
        ratio: { to: "bare", values: ratios(flush, bare) },
        target: { of: "value", bound: "at most", value: 20 },
      },
    ],
  };
}
