import { SimulationFailure, simulate } from "@usage/simulation";
import { afterAll, describe, expect, it } from "vitest";
import { REGRESSIONS } from "./regressions.ts";

const SEEDS = 250;
/** Of the later ones some that notice what few do: a cursor that moves too far, and debts of a month that is over. */
const NOTICING = [251, 300, 415, 609];
const EXACT_SEEDS = 30;

// Most errors of a run are meant, and thrown by the thousand: nobody reads their stacks.
const { stackTraceLimit } = Error;
Error.stackTraceLimit = 0;
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

describe("several instances, Redis and a database, where everything fails", () => {
  it("keep every promise in random runs", { timeout: 600_000 }, async () => {
    let [kills, losses, recorded] = [0, 0, 0];
    for (const seed of [...Array(SEEDS).keys(), ...NOTICING]) {
      const report = await simulate(seed).catch(withTrace);
      kills += report.kills;
      losses += report.losses;
      recorded += report.recorded;
    }
    // Runs in which nothing happens would prove nothing.
    expect(kills).toBeGreaterThan(SEEDS);
    expect(losses).toBeGreaterThan(SEEDS);
    expect(recorded).toBeGreaterThan(1_000 * SEEDS);
  });

  it("pass no limit that is exact in random runs", { timeout: 600_000 }, async () => {
    let [admitted, refused, excused] = [0, 0, 0];
    for (let seed = 0; seed < EXACT_SEEDS; seed++) {
      const report = await simulate(seed, true).catch(withTrace);
      admitted += report.admitted;
      refused += report.refused;
      excused += report.excused;
    }
    // Limits were used and reached, and slices were out that nobody knew of any more.
    expect(admitted).toBeGreaterThan(20 * EXACT_SEEDS);
    expect(refused).toBeGreaterThan(50 * EXACT_SEEDS);
    expect(excused).toBeGreaterThan(EXACT_SEEDS);
  });

  it.each(REGRESSIONS)("keep them where they were once broken: seed %i, $1", async (seed) => {
    await simulate(seed).catch(withTrace);
  });

  it("do the same again with the same seed, and something else with another", async () => {
    expect(await simulate(7)).toEqual(await simulate(7));
    expect(await simulate(7)).not.toEqual({ ...(await simulate(8)), seed: 7 });
  });
});

function withTrace(error: unknown): never {
  if (error instanceof SimulationFailure) throw new Error(`${error.trace.join("\n")}\n${error.message}`);
  throw error;
}
