import { LocalCounterBackend } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import { answer } from "../child.ts";
import type { UsageRow } from "../flush/flush-target.ts";
import { openPostgresTarget } from "../flush/postgres-target.ts";
import { openSqliteTarget } from "../flush/sqlite-target.ts";
import { interleave, roundsOf } from "../rounds.ts";

/** Milliseconds by round: a flush after a few of very many backends have grown, and a bare upsert of their rows. */
export type FewTimes = Record<"flush" | "bare", number[]>;

const BACKENDS = 100_000;
const CHANGES = 10;
const names = Array.from({ length: BACKENDS }, (_, i) => `tenant-${String(i).padStart(6, "0")}`);

// Argument: the database.
const target = process.argv[2] === "postgres" ? await openPostgresTarget() : await openSqliteTarget();
const tracker = new UsageTracker(new LocalCounterBackend(names), { store: target.store });
const usage = { apiRequests: 1, egressBytes: 5_000_000, ingressBytes: 700 };
for (const name of names) tracker.record(name, usage);
await tracker.flush({ timeoutMs: 600_000 });
await target.age();
// Learns of everything, as a process does that was just started.
await tracker.refresh();
let at = 0;
const times: FewTimes = await interleave(
  {
    async flush() {
      for (const name of few()) tracker.record(name, usage);
      const start = performance.now();
      const { stored } = await tracker.flush();
      const tookMs = performance.now() - start;
      if (stored !== CHANGES) throw new Error(`${stored} of ${CHANGES} tallies were stored`);
      return tookMs;
    },
    async bare() {
      const rows = few().flatMap((backend) => rowsOf(backend));
      const start = performance.now();
      await target.upsertAll(rows);
      return performance.now() - start;
    },
  },
  roundsOf({ rounds: 41, warmups: 10 }),
);
await target.close();
answer(times);

/** Others each time, from all over the names. */
function few(): readonly string[] {
  return Array.from({ length: CHANGES }, () => {
    at = (at + 7_919) % BACKENDS;
    return names[at] as string;
  });
}

function rowsOf(backend: string): readonly UsageRow[] {
  return Object.entries(usage).map(([dimension, amount]) => ({
    // Another one, so that flushes have none of it to read.
    period: "1970-01",
    backend,
    dimension,
    writer: "bare",
    amount: amount * at,
  }));
}
