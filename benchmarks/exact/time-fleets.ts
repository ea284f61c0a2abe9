import { IS_SHORT, processesOf } from "../rounds.ts";
import { type FleetRun, type Load, REQUESTS_PER_SECOND, runFleet } from "./run-fleet.ts";

/** One fleet, by run. */
export interface FleetTimes {
  readonly load: Load;
  readonly roundMs: number;
  readonly limit: number;
  readonly exact: readonly FleetRun[];
  /** The same with nobody limited. */
  readonly approximate: readonly FleetRun[];
}

const RUNS = processesOf(2);
const LIMIT = IS_SHORT ? 24_000 : 120_000;
/** After the limit is used up: what is held then goes round. */
const AFTER_MS = 1_500;
const UNREACHED = { enforcement: "approximate", limit: 1e12, runMs: 3_000 } as const;

export async function timeFleets(url: string): Promise<readonly FleetTimes[]> {
  const times: FleetTimes[] = [];
  const limited = {
    enforcement: "exact",
    limit: LIMIT,
    runMs: (LIMIT / REQUESTS_PER_SECOND) * 1_000 + AFTER_MS,
  } as const;
  for (const load of ["skewed", "even"] as const) {
    for (const roundMs of [100, 250]) {
      const exact: FleetRun[] = [];
      const approximate: FleetRun[] = [];
      for (let run = 0; run < RUNS; run++) {
        exact.push(await runFleet({ url, load, roundMs, ...limited }));
        approximate.push(await runFleet({ url, load, roundMs, ...UNREACHED }));
      }
      times.push({ load, roundMs, limit: LIMIT, exact, approximate });
    }
  }
  return times;
}
