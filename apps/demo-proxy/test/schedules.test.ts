import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStore } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import fc from "fast-check";
import { describe, it } from "vitest";
import { ScheduleRun, type Step, schedules } from "./schedule.ts";

const START = "2026-01-28T12:00:00Z";

describe("several processes on one store", () => {
  it("keep every promise in random schedules of records, faults, restarts, late messages and months", async () => {
    await fc.assert(
      fc.asyncProperty(schedules, fc.boolean(), (steps, threaded) =>
        new ScheduleRun(new ManualClock(START), memoryStore(), threaded).run(steps),
      ),
      { numRuns: 1_000 },
    );
  }, 120_000);

  it("keep them on a real SQLite file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "usage-schedules-"));
    try {
      let files = 0;
      const onFile = async (steps: readonly Step[]): Promise<void> => {
        files += 1;
        await using store = await openSqliteStore(join(folder, `${files}.db`));
        await new ScheduleRun(new ManualClock(START), store, false).run(steps);
      };
      await fc.assert(fc.asyncProperty(schedules, onFile), { numRuns: 25 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 120_000);
});
