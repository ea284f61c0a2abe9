import { expect, it } from "vitest";
import { chaosReport } from "../../src/chaos/report.ts";
import { runChaos } from "../../src/chaos/run-chaos.ts";
import type { Round } from "../../src/faults/plan.ts";

const NOTHING: Round = { redis: [], postgres: [], kills: [], freezes: [] };

const ROUNDS: readonly Round[] = [
  {
    ...NOTHING,
    redis: [{ kind: "killed, started empty", afterMs: 1_000, forMs: 300, detail: 0 }],
    kills: [{ kind: "killed", afterMs: 700, forMs: 0, detail: 0.1 }],
    freezes: [{ kind: "stopped for a while", afterMs: 500, forMs: 1_000, detail: 0.4 }],
  },
  {
    ...NOTHING,
    postgres: [{ kind: "killed and started again", afterMs: 500, forMs: 1_500, detail: 0 }],
    // So long after Redis was wiped that it excuses nothing, and while nobody can store anything.
    kills: [
      { kind: "killed", afterMs: 1_200, forMs: 0, detail: 0.5 },
      { kind: "killed while stopped", afterMs: 0, forMs: 300, detail: 0.9 },
    ],
  },
];

it("a short run of chaos accounts for every count of every writer", async () => {
  const result = await runChaos({ size: 4, rounds: ROUNDS, signal: new AbortController().signal });
  expect(result.problems).toEqual([]);
  expect([...result.faults]).toEqual(
    expect.arrayContaining([
      ["Redis: killed, started empty", 1],
      ["Postgres: killed and started again", 1],
      ["instance: killed", 2],
      ["instance: killed while stopped", 1],
      ["instance: stopped for a while", 1],
    ]),
  );
  expect(result.losses).toHaveLength(1);
  // That one comes back, or is stored by another, may be too late for so short a run on a busy machine.
  expect(result.tenants.came).toBeGreaterThan(0);

  // Of limits, those that are exact are used, and hardly any is used up so soon after Redis was wiped.
  expect(result.limits.some(({ used }) => used > 0)).toBe(true);

  const { writers, stored } = result.account;
  // Four at first, three in place of those that were killed, and one that starts when all rest.
  const ends = Map.groupBy(writers, ({ end }) => end);
  expect([ends.get("killed")?.length, ends.get("stopped")?.length, writers.length]).toEqual([3, 5, 8]);
  const counted = ends.get("stopped")?.filter((one) => one.stored.entries().length > 0) ?? [];
  expect(counted.length).toBeGreaterThanOrEqual(4);
  for (const one of counted) expect(one.stored.entries()).toEqual(one.planned.entries());
  expect(Object.keys(stored.byDimension()).sort()).toEqual(["apiRequests", "egressBytes", "ingressBytes"]);
  expect(chaosReport(result, 7)).toContain("**Everything held.**");
});
